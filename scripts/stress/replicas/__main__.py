"""What ``scripts/replicas`` runs. The client is the one that ``docs/scale.md`` shows."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgpack

from bridge._generated import bridge_pb2 as pb

ROOT = Path(__file__).parents[3]
_LATEST_S = 60.0


def client() -> dict[str, Any]:
    """The names of the example of the page."""
    page = (ROOT / "docs" / "scale.md").read_text()
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n# replicas.py\n(.*?)```", page, re.S)[0], names)
    return names


class Replica:
    """A bridge that serves gRPC. ``port``: 0 takes a free one."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bridge", "--transport", "grpc", "--port", str(port),
             "--adapter", "tools:ReplicaTools", "--app-dir", str(Path(__file__).parent),
             "--max-connection-age", "2", "--grace", "10"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        name, _, address = self._process.stdout.readline().strip().partition(":")
        if name != "GRPC_READY":
            raise SystemExit("a replica does not start")
        self.port = int(address)
        self.pid = self._process.pid

    def end(self, signum: int) -> int:
        """Send a signal and wait for the end; the exit status."""
        self._process.send_signal(signum)
        return self._process.wait(_LATEST_S)


class Load:
    """Callers, each one call after the other, until ``stop``; ``make`` makes one."""

    def __init__(self, make: Callable[[int], int], callers: int, numbers: count[int]) -> None:
        #: By number: the process that answered, or the error.
        self.answered: dict[int, int] = {}
        self.failed: dict[int, Any] = {}
        self._make = make
        self._numbers = numbers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        import grpc

        while not self._stop.is_set():
            number = next(self._numbers)
            try:
                self.answered[number] = self._make(number)
            except grpc.RpcError as error:
                self.failed[number] = error.code().name

    def goes_on(self, *pids: int, calls: int = 20) -> None:
        """Wait until each of these processes has answered so many more calls."""
        before = Counter(list(self.answered.values()))
        end = time.monotonic() + _LATEST_S
        while any(Counter(list(self.answered.values()))[pid] - before[pid] < calls for pid in pids):
            if time.monotonic() > end:
                raise SystemExit("a replica gets no calls")
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def main() -> int:
    """Run the phases; the number of those that went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/replicas", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each phase (20)")
    parser.add_argument("--callers", type=int, default=8, help="at the same time (8)")
    options = parser.parse_args()
    names = client()
    replicas = [Replica(), Replica()]
    numbers, wrong, rows = count(1), 0, []
    for what in ("drained", "killed, once", "killed, repeated"):
        with tempfile.TemporaryDirectory() as folder:
            ledger = os.path.join(folder, "ledger")
            channel = names["connect"](
                *(f"127.0.0.1:{replica.port}" for replica in replicas),
                repeats=what.endswith("repeated"),
            )
            method = channel.unary_unary(
                "/bridge.v1.Bridge/Call",
                request_serializer=pb.CallRequest.SerializeToString,
                response_deserializer=pb.CallResponse.FromString,
            )
            load = Load(_maker(what, names, method, ledger), options.callers, numbers)
            began = time.monotonic()
            load.goes_on(*(replica.pid for replica in replicas))
            status = replicas[0].end(signal.SIGTERM if what == "drained" else signal.SIGKILL)
            load.goes_on(replicas[1].pid)
            replicas[0] = Replica(replicas[0].port)
            load.goes_on(*(replica.pid for replica in replicas))
            time.sleep(max(0, began + options.seconds - time.monotonic()))
            load.stop()
            channel.close()
            right, row = _judge(what, load, Path(ledger), status)
        wrong += not right
        rows.append((what, *row, "right" if right else "WRONG"))
        replicas.reverse()
    for replica in replicas:
        replica.end(signal.SIGTERM)
    print(
        "| one replica is | answered | failed | made more than once | |\n| --- | --- | --- | --- | --- |"
    )
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|")
    return wrong


def _maker(what: str, names: dict[str, Any], method: Any, ledger: str) -> Callable[[int], int]:
    def make(number: int) -> int:
        args = msgpack.packb([ledger, number, 0.005 if number % 4 == 0 else 0.0])
        request = pb.CallRequest(tool="enters", params=pb.Payload(msgpack=args))
        if what.endswith("repeated"):
            response = method(request, timeout=_LATEST_S, wait_for_ready=True)
        else:
            response = names["call_once"](method, request, _LATEST_S)
        return int(msgpack.unpackb(response.result.msgpack))

    return make


def _judge(what: str, load: Load, ledger: Path, status: int) -> tuple[bool, tuple[Any, ...]]:
    made = Counter(int(line) for line in ledger.read_text().split())
    more = sum(times > 1 for times in made.values())
    failed = Counter(load.failed.values())
    right = all(made[number] >= 1 for number in load.answered)
    if what == "drained":
        right = right and not failed and not more and status == 0
    elif what == "killed, once":
        right = right and not more and set(failed) <= {"UNAVAILABLE"}
    else:
        right = right and not failed
    shown = ", ".join(f"{number} {code}" for code, number in failed.items()) or 0
    return right, (len(load.answered), shown, more)


if __name__ == "__main__":
    sys.exit(main())
