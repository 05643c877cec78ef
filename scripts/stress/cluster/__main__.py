"""Run it: see ``scripts/cluster-test``, which puts it where nothing but loopback is."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ray.cluster_utils import Cluster

from bridge.errors import CallError
from bridge.testing import PortPeer

ADAPTER = ("--adapter", "scripts.stress.cluster.tools:Tools")
FAULTS: list[str] = []


def see(what: str, holds: bool, figure: str = "") -> None:
    print(f"  {'ok  ' if holds else 'FAIL'} {what}{f': {figure}' if figure else ''}", flush=True)
    if not holds:
        FAULTS.append(what)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/cluster-test", description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="of load (default: 12)")
    options = parser.parse_args()
    began = time.monotonic()
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": 300 << 20,
        },
    )
    nodes = [cluster.add_node(num_cpus=6, object_store_memory=300 << 20) for _ in range(2)]
    os.environ["RAY_ADDRESS"] = cluster.address
    print(f"a head and two machines of 6 CPUs, started in {time.monotonic() - began:.1f} s")
    try:
        began = time.monotonic()
        with PortPeer(*ADAPTER, ready_timeout_s=120.0) as peer:
            print(f"the bridge with 4 actors, ready in {time.monotonic() - began:.1f} s")
            check_calls(peer)
            compare(peer)
            under_load(peer, options.seconds, lambda: cluster.remove_node(nodes[0], False))
            return_to_rest(peer)
            sys.stdout.flush()
    finally:
        cluster.shutdown()
    print(f"{len(FAULTS)} faults" + "".join(f"\n  {fault}" for fault in FAULTS))
    return 1 if FAULTS else 0


def failure(peer: PortPeer, tool: str, *args: Any, **options: Any) -> tuple[CallError, float]:
    began = time.monotonic()
    try:
        value = peer.result(peer.request(tool, list(args), **options))
    except CallError as error:
        return error, time.monotonic() - began
    raise AssertionError(f"{tool} returned {value!r}")


def check_calls(peer: PortPeer) -> None:
    print("calls")
    see("several actors serve", len({peer.call("process", []) for _ in range(12)}) == 4)
    values = np.arange(7_500_000, dtype=np.float64)
    see("60 MB there and back", np.array_equal(peer.call("double", [values]), values * 2))
    see("a stream", list(peer.stream("items", [500])) == list(range(500)))
    error, _ = failure(peer, "fails", "no")
    see("an exception, with its traceback", error.type == "builtins.ValueError" and "tools.py" in "".join(error.traceback or ()))  # fmt: skip
    error, took = failure(peer, "sleep", 1.5, timeout_ms=200)
    see("a deadline", error.code == "deadline_exceeded" and took < 1.0, f"{took:.2f} s")
    msgid = peer.request("items", [10**9], stream={"items": 3, "bytes": 1 << 20})
    time.sleep(0.3)
    peer.cancel(msgid)
    try:
        peer.result(msgid)
    except CallError as error:
        see("a cancel of a stream that nobody takes", error.code == "cancelled")
    see("a task", peer.call("task", [7]) == 7)
    error, took = failure(peer, "endless_task", timeout_ms=500)
    see("a task that is not awaited any more", error.code == "deadline_exceeded")
    return_to_rest(peer)


def return_to_rest(peer: PortPeer) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        stats = peer.call("$/stats")
        engine = stats["engine"]
        if not engine["running"] and engine["replicas"] == engine["wanted"]:
            break
        time.sleep(0.1)
    see("nothing runs, every replica is there", not engine["running"] and engine["replicas"] == 4, str(engine))  # fmt: skip


def compare(peer: PortPeer) -> None:
    print(
        "one call after the other, milliseconds (median, 99th percentile), and 60 MB as one array"
    )
    big = np.zeros(7_500_000)
    rows: list[tuple[str, PortPeer, str]] = [("an actor of Ray", peer, "echo")]
    rows.append(("a task of Ray", peer, "task"))
    with (
        PortPeer(*ADAPTER, "--engine", "local", "--max-workers", "1") as local,
        PortPeer(*ADAPTER, "--engine", "processes") as processes,
    ):
        rows += [("a process beside", processes, "echo"), ("here", local, "echo")]
        for name, of, tool in rows:
            times = []
            for _ in range(200):
                began = time.perf_counter()
                of.call(tool, [1])
                times.append(time.perf_counter() - began)
            times.sort()
            began = time.perf_counter()
            of.call("task" if tool == "task" else "double", [big])
            took = time.perf_counter() - began
            print(f"  {name:<18} {times[100] * 1e3:7.2f} {times[197] * 1e3:7.2f}   {took:5.2f} s")


def under_load(peer: PortPeer, seconds: float, lose_node: Callable[[], object]) -> None:
    """Callers that call again and again, while an actor and then a machine are killed."""
    print(f"load for {seconds:.0f} s by 16 callers; an actor is killed, then a machine")
    ledger = Path(tempfile.mkdtemp()) / "ledger"
    outcomes: dict[str, Any] = {}
    took: list[float] = []
    stop = threading.Event()

    def call(number: int) -> None:
        tool = "repeatable" if number % 2 else "work"
        count = 0
        while not stop.is_set():
            name = f"{tool}-{number}-{count}"
            count += 1
            began = time.monotonic()
            try:
                outcomes[name] = peer.result(
                    peer.request(tool, [name, str(ledger)], timeout_ms=30_000), 60.0
                )
            except CallError as error:
                outcomes[name] = error
            except TimeoutError:
                outcomes[name] = None
            took.append(time.monotonic() - began)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for caller in callers:
        caller.start()
    time.sleep(seconds / 4)
    os.kill(peer.call("process", []), signal.SIGKILL)
    time.sleep(seconds / 4)
    lose_node()
    time.sleep(seconds / 2)
    stop.set()
    for caller in callers:
        caller.join()
    runs = Counter(ledger.read_text().split())
    tell(peer, outcomes, runs, took)


def tell(peer: PortPeer, outcomes: dict[str, Any], runs: Counter[str], took: list[float]) -> None:
    errors = {name: value for name, value in outcomes.items() if isinstance(value, CallError)}
    by_kind = Counter(
        (name.partition("-")[0], error.code, error.started) for name, error in errors.items()
    )
    engine = peer.call("$/stats")["engine"]
    took.sort()
    print(
        f"  {len(outcomes)} calls, {len(outcomes) - len(errors)} answered, slowest {took[-1]:.2f} s"
    )
    print(f"  replicas lost {engine['lost_replicas']}, calls that were lost {engine['lost']}, tried again {engine['retried']}")  # fmt: skip
    for (tool, code, started), count in by_kind.items():
        print(f"  {count} of {tool}: {code}, started: {started}")
    see("every call has one answer", None not in outcomes.values())
    see("each answer is that of its call", all(value == name for name, value in outcomes.items() if name not in errors))  # fmt: skip
    see("nothing but unavailable", {error.code for error in errors.values()} <= {"unavailable"})
    see("what may not be repeated ran once at most", max(runs[name] for name in outcomes if name.startswith("work")) == 1)  # fmt: skip
    see("what has not started never ran", not any(runs[name] for name, error in errors.items() if error.started is False))  # fmt: skip
    see("what may be repeated was answered", not any(name.startswith("repeatable") for name in errors))  # fmt: skip
    see("an actor and a machine were lost", engine["lost_replicas"] >= 2)


if __name__ == "__main__":
    sys.exit(main())
