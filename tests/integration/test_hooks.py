"""The hooks of an adapter in a real process: on which threads they run, whatever brings the calls."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from bridge.testing import PortPeer
from tests.waiting import wait_until

HERE = str(Path(__file__).parent)
ADAPTER = ("--adapter", "hook_tools:Hooks", "--app-dir", HERE)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What was written down so far, as pairs of hook and thread."""
    file = tmp_path / "hooks"
    monkeypatch.setenv("HOOKS_FILE", str(file))
    return lambda: [tuple(line.split()) for line in file.read_text().splitlines()]


def test_threads_that_run_quick_tools_begin_and_end_like_workers(notes: Any) -> None:
    with PortPeer(*ADAPTER, "--max-workers", "2") as peer:
        wait_until(lambda: peer.call("where").startswith("bridge-reader"), "a quick run inline")
        assert peer.call("where_async") == "bridge-event-loop"
        peer.kill(signal.SIGTERM)
        assert peer.process.wait(20) == 0
    begun = sorted(name for hook, name in notes() if hook == "setup_worker")
    ended = sorted(name for hook, name in notes() if hook == "close_worker")
    assert begun == ended
    assert {"bridge-worker-1", "bridge-event-loop"} < set(begun)
    assert any(name.startswith("bridge-reader") for name in begun)
    assert notes()[0] == ("setup", "MainThread")
    assert notes()[-1] == ("close", "bridge-event-loop")


@pytest.mark.parametrize("transport", ["stdio", "grpc"])
def test_with_one_worker_one_thread_does_it_all(transport: str, notes: Any) -> None:
    if transport == "grpc":
        pytest.importorskip("grpc")
        from .grpc_peer import GrpcPeer as Peer
    else:
        Peer = PortPeer  # type: ignore[misc, assignment]
    with Peer(*ADAPTER, "--max-workers", "1") as peer:
        names = ["where", "where_in_turn", "where_async"] * 5
        pending = [peer.request(name, []) for name in names]
        used = {peer.result(key) for key in pending} | set(peer.stream("items", []))
        peer.kill(signal.SIGTERM)
        assert peer.process.wait(20) == 0
    assert used == {"bridge-worker-1"}
    hooks = ["setup", "setup_worker", "close_worker", "close"]
    assert notes() == [(hook, "bridge-worker-1") for hook in hooks]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_async_call_that_goes_on_does_not_keep_the_adapter_from_being_closed(
    notes: Any, workers: str
) -> None:
    adapter = ("--adapter", "hook_tools:Staying", "--app-dir", HERE)
    with PortPeer(*adapter, "--max-workers", workers, "--grace", "0.1") as peer:
        peer.request("stays")
        wait_until(lambda: peer.call("$/stats")["tools"]["stays"]["in_flight"] == 1, "its begin")
        peer.kill(signal.SIGTERM)
        assert peer.process.wait(20) == 0
    assert [hook for hook, _ in notes()] == ["close"]
