"""Tools that run elsewhere, through real processes.

The engine, its seam and the local stand-in for a cluster are run here. Ray itself is not: it is too
heavy, and ``scripts/cluster-test`` runs it.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.interfaces import WINDOW
from bridge.errors import CallError, InvalidParams, ToolFailed, TransportClosed
from bridge.testing import PortPeer
from tests.processes import Processes, Shared
from tests.waiting import wait_until

from .conftest import HERE

Start = Callable[..., PortPeer]


def settle(peer: PortPeer) -> None:
    """Wait until nothing runs, and every replica is there."""

    def is_at_rest() -> bool:
        report = engine(peer)
        return report["running"] == report["waiting"] == 0 and report["replicas"] == 2

    wait_until(is_at_rest, "an engine at rest")


@pytest.fixture(scope="module")
def bridges(processes: Processes) -> Iterator[Shared[PortPeer]]:
    def start(*words: str) -> PortPeer:
        return PortPeer("--adapter", "engine_tools:Replicated", "--app-dir", HERE, *words)

    with Shared(processes, start, settle) as bridges:
        yield bridges


@pytest.fixture
def replicated(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    """A bridge with two replicas; each test leaves it at rest."""
    with bridges.lend(request) as peer:
        yield peer


def error_of(peer: PortPeer, msgid: int) -> CallError:
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    return caught.value


def failure(peer: PortPeer, tool: str, *args: Any, **options: Any) -> CallError:
    return error_of(peer, peer.request(tool, list(args), **options))


def engine(peer: PortPeer) -> dict[str, Any]:
    report: dict[str, Any] = peer.call("$/stats")["engine"]
    return report


def hold(peer: PortPeer, directory: Path, name: str, **options: Any) -> tuple[int, int]:
    """A call that runs until it may go on: its id, and its process."""
    msgid = peer.request("leave_at", [str(directory), name], **options)
    began = directory / f"{name}.began"
    wait_until(lambda: began.exists() and began.read_text() != "", f"{name} in a replica")
    return msgid, int(began.read_text())


def test_calls_are_as_if_their_tools_were_here(replicated):
    peer = replicated
    assert peer.call("add", [1]) == 2
    assert peer.call("add", {"a": 1, "b": 2, "c": 3}) == 6
    assert peer.call("tells", [], session="s", metadata={"k": "v"}) == ["s", {"k": "v"}]
    progress = [params for method, params in peer.notifications if method == "$/progress"][-1]
    assert progress[1:] == [1, 2, "half"]
    # the adapter is not thread-safe, so the one worker of its replica awaits it
    assert peer.call("is_async", []) == "bridge-worker-1"
    assert peer.call("squares", [3]) == 9
    values = np.arange(1 << 18, dtype=np.float64)
    assert np.array_equal(peer.call("double", [values]), values * 2)
    failed = failure(peer, "fails", "no")
    assert (type(failed), failed.message, failed.type) == (ToolFailed, "no", "builtins.ValueError")
    assert failed.started
    assert "engine_tools.py" in "".join(failed.traceback or ())
    wrong = failure(peer, "add", "x")
    assert (type(wrong), wrong.started) == (InvalidParams, False)
    assert "add: a must be int, got str" in wrong.message
    unsendable = failure(peer, "lock")
    assert "lock: <unlocked _thread.lock" in unsendable.message
    assert "cannot be sent from the replica" in unsendable.message


def test_calls_go_to_all_replicas_each_with_a_state_of_its_own(replicated):
    processes: dict[int, list[int]] = {}
    for _ in range(6):
        process, calls = replicated.call("process", [])
        processes.setdefault(process, []).append(calls)
    for counts in processes.values():
        assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert replicated.process.pid not in processes


def test_a_stream_sends_its_items_and_what_it_returns(replicated):
    msgid = replicated.request("items", [100], stream={"items": 1000, "bytes": 1 << 20})
    assert replicated.result(msgid) == 100
    assert replicated.items[msgid] == list(range(100))


def test_a_stream_that_nobody_takes_does_not_run_ahead(replicated, tmp_path):
    path = tmp_path / "items"
    msgid = replicated.request("endless", [str(path)], stream={"items": 3, "bytes": 1 << 20})
    wait_until(lambda: len(replicated.items.get(msgid, ())) == 3, "three items")
    wait_until(lambda: path.stat().st_size >= WINDOW, "what may be on its way")
    for _ in range(50):
        replicated.call("add", [1])
    # those that were taken here let as many more be sent, and one is in the hand of the tool
    assert path.stat().st_size <= WINDOW + 5
    assert engine(replicated)["running"] == 1
    replicated.cancel(msgid)
    assert error_of(replicated, msgid).code == "cancelled"
    # it has ended there, too: its place is free
    wait_until(lambda: engine(replicated)["running"] == 0, "its end in the replica")


def test_calls_that_wait_occupy_no_worker_and_have_not_started(start, tmp_path):
    peer = start("--max-workers", "1", adapter="engine_tools:Replicated")
    held = [hold(peer, tmp_path, name)[0] for name in ("a", "b")]
    late = failure(peer, "add", 1, timeout_ms=100)
    assert (late.code, late.started) == ("deadline_exceeded", False)
    waiting = [peer.request("add", [number]) for number in range(50)]
    report = peer.call("$/stats")
    assert (report["busy"], report["engine"]["running"]) == (0, 2)
    wait_until(lambda: engine(peer)["waiting"] == 50, "all of them")
    for name in ("a", "b"):
        (tmp_path / f"{name}.go").touch()
    assert [peer.result(msgid) for msgid in waiting] == [number + 1 for number in range(50)]
    for msgid in held:
        peer.result(msgid)


def test_a_cancel_reaches_the_tool_and_its_place_is_free_when_that_has_ended(replicated, tmp_path):
    msgid = replicated.request("heeds", [str(tmp_path)])
    wait_until((tmp_path / "heeds.began").exists, "the tool")
    replicated.cancel(msgid)
    error = error_of(replicated, msgid)
    assert (error.code, error.started) == ("cancelled", True)
    wait_until((tmp_path / "heeds.cancelled").exists, "the tool to hear of it")
    # one that does not heed keeps its place
    held, _ = hold(replicated, tmp_path, "a", timeout_ms=300)
    assert error_of(replicated, held).code == "deadline_exceeded"
    wait_until(lambda: engine(replicated)["running"] == 1, "the tool alone")
    assert replicated.call("$/health")["async_abandoned"] == 1
    (tmp_path / "a.go").touch()
    wait_until(lambda: engine(replicated)["running"] == 0, "its end")


def test_a_lost_replica_fails_its_calls_alone_and_is_replaced(replicated, tmp_path):
    peer, before = replicated, engine(replicated)
    (lost, process), (other, _) = hold(peer, tmp_path, "a"), hold(peer, tmp_path, "b")
    waiting = peer.request("add", [1])
    os.kill(process, signal.SIGKILL)
    error = error_of(peer, lost)
    assert (error.code, error.started) == ("unavailable", True)
    assert "ended with signal 9" in error.message
    # what waited had not begun, and runs in the new one
    assert peer.result(waiting) == 2
    (tmp_path / "b.go").touch()
    peer.result(other)
    wait_until(lambda: engine(peer)["replicas"] == 2, "the new one")
    assert engine(peer)["restarted"] == before["restarted"] + 1


def test_a_replica_that_is_lost_while_it_has_no_call_costs_none(replicated):
    before = engine(replicated)
    process, _ = replicated.call("process", [])
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: engine(replicated)["restarted"] > before["restarted"], "the new one")
    assert process not in {replicated.call("process", [])[0] for _ in range(4)}
    assert engine(replicated)["lost"] == before["lost"]


def test_what_is_idempotent_is_tried_again_and_nothing_else_is(replicated, tmp_path):
    before = engine(replicated)
    assert failure(replicated, "exits").started
    assert replicated.call("exits_once", [str(tmp_path / "once")]) > 0
    after = engine(replicated)
    assert after["lost"] - before["lost"] == 2
    assert after["retried"] - before["retried"] == 1


def test_tools_run_as_tasks_beside_those_that_run_here(start):
    peer = start(adapter="engine_tools:Tasks")
    assert peer.call("here", []) == peer.process.pid
    process, value = peer.call("there", [2])
    assert value == 6
    assert process != peer.process.pid
    msgid = peer.request("items", [40], stream={"items": 1000, "bytes": 1 << 20})
    assert peer.result(msgid) == 40
    lost = failure(peer, "exits")
    assert (lost.code, lost.started) == ("unavailable", True)
    assert peer.call("there", [1])[1] == 3
    assert failure(peer, "there", "x", "y").code == "invalid_argument"


def test_the_options_come_before_what_the_adapter_says(start):
    local = start("--engine", "local", "--max-workers", "1", adapter="engine_tools:Replicated")
    assert local.call("process", [])[0] == local.process.pid
    assert "engine" not in local.call("$/stats")
    three = start("--replicas", "3", adapter="engine_tools:Replicated")
    assert engine(three)["replicas"] == 3
    whole = start("--engine", "processes", adapter="engine_tools:Careless")
    assert whole.call("here", []) != whole.process.pid


def test_an_attribute_of_that_name_that_is_no_engine_means_nothing(start):
    peer = start("--max-workers", "1", adapter="engine_tools:Elsewhere")
    assert peer.call("here", []) == peer.process.pid


def test_what_cannot_be_is_refused_at_the_start(start):
    for adapter, words, said in (
        ("Careless", (), "Declare it thread-safe"),
        ("Broken", (), "the model is not there"),
        ("Replicated", ("--thread-safety-check",), "--engine local"),
        ("Replicated", ("--engine", "ray"), "Ray"),
    ):
        with pytest.raises(TransportClosed) as caught:
            start(*words, adapter=f"engine_tools:{adapter}")
        assert "exit status 1" in str(caught.value)
        assert said in str(caught.value)


def test_the_adapter_of_the_page_is_served(start, tmp_path):
    page = (Path(HERE).parents[1] / "docs" / "scale.md").read_text()
    (source,) = re.findall(r"```python\n# python/models.py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "models.py").write_text(source)
    words = ("--app-dir", str(tmp_path), "--engine", "processes", "--replicas", "1")
    peer = start(*words, adapter="models:Models")
    assert peer.call("translate", ["ja"]) == "yes"


def test_replicas_end_with_the_process_that_is_called(start, tmp_path):
    replicated = start(adapter="engine_tools:Replicated")
    _, process = hold(replicated, tmp_path, "a")
    idle, _ = replicated.call("process", [])
    replicated.kill(signal.SIGKILL)
    for pid in (process, idle):
        wait_until(lambda: not Path(f"/proc/{pid}/exe").exists(), "their end")  # noqa: B023
