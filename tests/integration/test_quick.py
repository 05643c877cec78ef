"""Quick tools on the thread that reads: what a caller must not notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import CallError
from bridge.testing import PortPeer
from tests.processes import put_away
from tests.waiting import wait_until

TOOLS = '''
import threading, time
from decimal import getcontext
from bridge import ThreadSafeAdapter, current_context, tool

class Tools(ThreadSafeAdapter):
    def setup(self):
        self.gate = threading.Event()

    @tool
    def where(self, wait=False):
        """Quick, unless it is told to wait."""
        if wait:
            self.gate.wait(20)
        return threading.current_thread().name

    @tool
    def open_gate(self, n=0):
        self.gate.set()
        return n

    @tool
    def sleeps(self, seconds):
        time.sleep(seconds)
        return seconds

    @tool
    def raises(self, text=None):
        """Quick, as long as it does not."""
        if text:
            raise ValueError(text)

    @tool
    def precision(self, digits=None):
        before = getcontext().prec
        if digits:
            getcontext().prec = digits
        return before

    @tool
    def asks(self, look=False):
        return current_context().tool if look else None
'''


@pytest.fixture
def serve(tmp_path: Path):
    (tmp_path / "quick_tools.py").write_text(TOOLS)
    peers = []

    def serve(*arguments: str) -> PortPeer:
        adapter = ("--adapter", "quick_tools:Tools", "--app-dir", str(tmp_path))
        peers.append(PortPeer(*adapter, *arguments))
        return peers[-1]

    yield serve
    for peer in peers:
        put_away(peer)


def prove(peer: PortPeer, tool: str, *args: object) -> None:
    """Call a tool until it runs on the reader."""
    before = readers(peer)

    def has_run_there() -> bool:
        for _ in range(50):
            peer.call(tool, list(args))
        return readers(peer) > before

    wait_until(has_run_there, f"{tool} to become quick")


def readers(peer: PortPeer) -> int:
    return sum(reader["calls"] for reader in peer.call("$/stats")["readers"])


def test_a_tool_that_has_proven_quick_runs_on_the_reader(serve):
    peer = serve("--max-workers", "2")
    assert peer.call("where").startswith("bridge-worker")
    wait_until(lambda: peer.call("where").startswith("bridge-reader"), "a call on the reader")


@pytest.mark.parametrize("arguments", [["--no-inline"], ["--max-workers", "1"]])
def test_not_if_it_is_switched_off_or_tools_must_not_run_at_once(serve, arguments):
    peer = serve(*arguments)
    names = {peer.call("where").rpartition("-")[0] for _ in range(200)}
    assert names == {"bridge-worker"}
    assert peer.call("$/stats")["readers"] == []


def test_one_that_hangs_after_all_holds_nobody_up(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "where")
    stuck = peer.request("where", [True])
    # read by another thread, which takes over
    assert peer.call("open_gate", [7]) == 7
    assert peer.result(stuck).startswith("bridge-")


def test_what_was_read_together_with_it_is_run_all_the_same(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "where")
    ids = [peer.request("where", [True]), *(peer.request("where") for _ in range(20))]
    assert peer.call("open_gate") == 0
    for msgid in ids:
        assert peer.result(msgid).startswith("bridge-")
    assert all(len(peer.responses[msgid]) == 1 for msgid in ids)


def test_one_that_hangs_can_be_cancelled(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "where")
    stuck = peer.request("where", [True])
    peer.call("$/ping")  # so the duty has changed hands, or it runs on a worker
    peer.cancel(stuck)
    with pytest.raises(CallError) as error:
        peer.result(stuck)
    assert error.value.code == "cancelled"
    assert peer.call("open_gate") == 0
    assert len(peer.responses[stuck]) == 1


def test_one_that_hangs_runs_out_of_time(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "where")
    stuck = peer.request("where", [True], timeout_ms=50)
    with pytest.raises(CallError) as error:
        peer.result(stuck)
    assert error.value.code == "deadline_exceeded"
    assert peer.call("open_gate") == 0


def test_its_errors_are_those_of_any_tool(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "raises")
    for params, code in ((["on purpose"], "internal"), ([1, 2], "invalid_argument")):
        with pytest.raises(CallError) as error:
            peer.call("raises", params)
        assert error.value.code == code
    with pytest.raises(CallError, match="on purpose") as error:
        peer.call("raises", ["on purpose"])
    assert error.value.type == "builtins.ValueError"
    assert error.value.traceback is not None
    assert "in raises" in error.value.traceback[1], "no frame of the bridge stands before"
    assert error.value.started is True


def test_its_context_variables_are_its_own(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "precision")
    default = peer.call("precision")
    assert peer.call("precision", [5]) == default
    assert {peer.call("precision") for _ in range(20)} == {default}


def test_one_that_asks_for_its_context_has_it_and_goes_to_a_worker(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "asks")
    before = readers(peer)
    assert peer.call("asks", [True]) == "asks"
    after = readers(peer)
    for _ in range(50):
        peer.call("asks")
    assert readers(peer) == after
    assert after - before <= 1


def test_it_counts_like_any_other(serve):
    peer = serve("--max-workers", "2")
    prove(peer, "where")
    before = peer.call("$/stats")["tools"]["where"]
    for _ in range(100):
        peer.call("where")
    after = peer.call("$/stats")["tools"]["where"]
    assert after["calls"] - before["calls"] == 100
    assert after["run_time"]["count"] == after["calls"]


def test_tools_that_turn_slow_at_random_lose_nothing(serve):
    peer = serve("--max-workers", "8")
    prove(peer, "sleeps", 0)
    ids = {}
    for n in range(600):
        seconds = 0.004 if n % 37 == 0 else 0
        ids[peer.request("sleeps", [seconds])] = seconds
    for msgid, seconds in ids.items():
        assert peer.result(msgid) == seconds
    assert all(len(peer.responses[msgid]) == 1 for msgid in ids)
