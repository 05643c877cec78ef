"""Each adapter that uses a library, checked and served again and again, as its authors do both.

Wrong and right versions, in processes of their own: ``bridge check`` with another seed each time, and a
bridge with ``--thread-safety-check`` that gets all examples several times at once. Each must end in time,
without a fault of the checker, with the right verdict, and with an answer to each call that was served.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from bridge.adapter import bind_tools
from bridge.errors import CallError
from bridge.loading import resolve
from bridge.testing import PortPeer
from bridge.thread_safety.rounds import examples_of
from tests.libraries.pairs import ADAPTERS

#: How long a check, or a call, may take, in seconds.
_LIMIT_S = 60
#: How often a served bridge gets each example at once.
_AT_ONCE = 6


def outcomes_of(adapter: str, rounds: int) -> Iterator[tuple[str, list[str], float]]:
    """What was done with which version, what was wrong with it in which round, and how long one took."""
    for version in ("Wrong", "Right"):
        spec = f"{adapter}:{version}"
        module = resolve(adapter, str(ADAPTERS))
        found = vars(module)["FOUND"] if version == "Wrong" else None
        for what, run in (("checked", _check), ("served", _serve)):
            began = time.monotonic()
            faults = [run(spec, found, seed) for seed in range(rounds)]
            each_s = (time.monotonic() - began) / rounds
            yield f"{spec} {what}", [fault for fault in faults if fault], each_s


def _check(spec: str, found: str | None, seed: int) -> str | None:
    command = [sys.executable, "-m", "bridge", "check", "--json", "--app-dir", str(ADAPTERS)]
    try:
        ended = subprocess.run(
            [*command, "--seed", str(seed), spec], capture_output=True, text=True, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"no end within {_LIMIT_S} s"
    if ended.returncode != (0 if found is None else 1):
        return f"exit {ended.returncode}: {(ended.stdout + ended.stderr)[-500:]}"
    return _fault_of(json.loads(ended.stdout), found)


def _serve(spec: str, found: str | None, seed: int) -> str | None:
    module, _, name = spec.partition(":")
    tools = bind_tools(getattr(resolve(module, str(ADAPTERS)), name)())
    options = ["--adapter", spec, "--app-dir", str(ADAPTERS), "--max-workers", "4"]
    with PortPeer(*options, "--thread-safety-check") as peer:
        for tool in tools.values():
            calls = [peer.request(tool.name, each) for each in examples_of(tool) * _AT_ONCE]
            for call in calls:
                try:
                    peer.result(call, _LIMIT_S)
                except CallError as error:
                    if found is None:  # what races may well raise
                        return f"{tool.name}: {error}"
                except TimeoutError:
                    return f"{tool.name}: no answer within {_LIMIT_S} s"
        report = peer.call("$/stats")["thread_safety"]
        peer.close()
        status = peer.wait()
    return f"exit {status}" if status else _fault_of(report, found)


def _fault_of(report: dict[str, list[dict[str, str]]], found: str | None) -> str | None:
    variables = [each["variable"] for each in report["findings"]]
    if report["faults"]:
        return f"faults: {report['faults']}"
    if found is None:
        return f"found in what is right: {variables}" if variables else None
    return None if any(found in each for each in variables) else f"not found, but {variables}"
