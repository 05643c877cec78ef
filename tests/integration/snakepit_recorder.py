"""Records what Snakepit's own Python worker answers: the oracle of ``test_snakepit_contract.py``.

    python -m tests.integration.snakepit_recorder PRIV_PYTHON VERSION [INTERPRETER]

``PRIV_PYTHON`` is the directory ``priv/python`` of a checkout of Snakepit at the tag of
``VERSION``, ``INTERPRETER`` a Python that has what its ``requirements.txt`` asks for. The worker is
started as Snakepit starts it and gets the requests that its Elixir side would send. What it sends
back is written to ``tests/vectors/snakepit/VERSION.json``, each message as its bytes.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bridge._generated import snakepit_bridge_pb2 as pb

from .snakepit_contract import CALLS
from .snakepit_peer import SERVICE, ElixirSide, make_request

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors" / "snakepit"
#: What the recorded worker is told: limits low enough to be met.
LIMITS = {"SNAKEPIT_TOLIST_MAX_ELEMENTS": "100"}
#: Runs that differ in their environment, and only in how they show what has no form.
DETAILS = {
    "type": {"SNAKEPIT_UNSERIALIZABLE_DETAIL": "type"},
    "repr": {
        "SNAKEPIT_UNSERIALIZABLE_DETAIL": "repr_truncated",
        "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN": "60",
    },
    "redacted": {
        "SNAKEPIT_UNSERIALIZABLE_DETAIL": " Repr_Redacted_Truncated",
        "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN": "many",
    },
    "long": {
        "SNAKEPIT_UNSERIALIZABLE_DETAIL": "repr_truncated",
        "SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN": "9999",
    },
}
DETAILED = ("own inside", "bad repr inside", "function inside")


def elixir_tools() -> dict[str, Any]:
    """The tools of the Elixir program that stands beside the worker."""

    def fails() -> None:
        raise ElixirSide.Failure("it is broken")

    return {"shout": lambda text: text, "fails": fails}


def ask(port: int, version: tuple[int, ...], call: Any) -> dict[str, Any]:
    """Send the request of a call; returns what is recorded of it."""
    method, tool, arguments, binary = call
    request = make_request(version, tool, arguments, binary)
    headers = [("x-snakepit-correlation-id", "c0rrelation")] if version >= (0, 7, 0) else None
    entry: dict[str, Any] = {"method": method, "tool": tool, "arguments": arguments}
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        path = f"/{SERVICE}/{method}"
        if method == "ExecuteTool":
            messages = [channel.unary_unary(path)(request, timeout=30, metadata=headers)]
        else:
            messages, stream = [], channel.unary_stream(path)(request, timeout=30, metadata=headers)
            try:
                messages.extend(stream)
            except grpc.RpcError as error:
                details = error.details()
                if details.startswith("{"):
                    details = json.dumps(without_lines(json.loads(details)))
                entry["status"] = [error.code().name, details]
    entry["messages"] = [base64.b64encode(message).decode() for message in map(cut, messages)]
    return entry


def cut(message: bytes) -> bytes:
    """A message without the lines of an error's traceback, which name files of this machine."""
    response = pb.ExecuteToolResponse()
    try:
        response.ParseFromString(message)
        error = json.loads(response.error_message)
    except (DecodeError, ValueError):
        return message
    response.error_message = json.dumps(without_lines(error))
    data: bytes = response.SerializeToString()
    return data


def without_lines(error: dict[str, Any]) -> dict[str, Any]:
    """A described error, its traceback shortened to the last line."""
    last = error["traceback"].splitlines()[-1] + "\n"
    return {**error, "stacktrace": [last], "traceback": last}


def main(source: str, version: str, python: str = sys.executable) -> None:
    numbers = tuple(map(int, version.split(".")))
    runs = {"": (LIMITS, CALLS)}
    if numbers >= (0, 11, 0):
        calls = [("ExecuteTool", "give", {"what": what}, {}) for what in DETAILED]
        runs |= {name: (env, calls) for name, env in DETAILS.items()}
    recorded: dict[str, Any] = {"version": version, "runs": {}}
    with tempfile.TemporaryDirectory() as directory, ElixirSide(**elixir_tools()) as elixir:
        shutil.copytree(source, directory, dirs_exist_ok=True)
        shutil.copy(HERE / "snakepit_contract.py", directory)
        for name, (env, calls) in runs.items():
            ready = Path(directory, f"ready-{name}")
            process = subprocess.Popen(
                [python, "grpc_server.py", "--adapter", "snakepit_contract.Contract",
                 "--port", "0", "--elixir-address", elixir.address],
                cwd=directory, env={**os.environ, **env, "SNAKEPIT_READY_FILE": str(ready)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            try:
                port = wait_for_port(process, ready, numbers)
                recorded["runs"][name] = {
                    "env": env,
                    "calls": [ask(port, numbers, call) for call in calls],
                }
            finally:
                process.kill()
                process.wait()
    VECTORS.mkdir(exist_ok=True)
    (VECTORS / f"{version}.json").write_text(json.dumps(recorded, indent=1) + "\n")


def wait_for_port(process: Any, ready: Path, version: tuple[int, ...]) -> int:
    if version < (0, 8, 1):
        for line in process.stdout:
            if "GRPC_READY:" in line:
                drain(process.stdout)
                return int(line.partition("GRPC_READY:")[2])
    drain(process.stdout)
    while not ready.exists():
        assert process.poll() is None, "it ended"
        time.sleep(0.05)
    return int(ready.read_text())


def drain(pipe: Any) -> None:
    """Read what the worker logs, so that it never waits for that."""
    threading.Thread(target=pipe.read, daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
