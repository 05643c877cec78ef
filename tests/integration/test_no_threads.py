"""Where no further thread can be started, the bridge serves with those that it has."""

from __future__ import annotations

import pytest

from bridge.errors import CallError

ADAPTER = "thread_tools:NoThreads"


def test_calls_wait_for_the_workers_that_there_are_and_the_end_is_in_order(start):
    peer = start("--max-workers", "8", "--no-inline", adapter=ADAPTER)
    peer.call("exhaust")
    calls = [peer.request("sleep", [0.02]) for _ in range(6)]
    assert [peer.result(msgid) for msgid in calls] == [0.02] * 6
    with pytest.raises(CallError) as caught:
        peer.call("sleep", [1.5], timeout_ms=100)
    assert caught.value.code == "deadline_exceeded"
    with pytest.raises(CallError, match="event loop") as caught:
        peer.call("wait")
    assert caught.value.code == "resource_exhausted"
    running = peer.request("sleep", [0.3])
    peer.call("$/shutdown")
    assert peer.result(running) == 0.3
    assert peer.notification("$/bye") == ["shutdown"]
    assert peer.wait() == 0


def test_without_a_thread_to_read_the_start_fails_with_one_message_on_both_ways(start):
    peer = start(adapter=ADAPTER, env={"NO_THREADS": "1"}, wait_until_ready=False)
    (error,) = peer.notification("$/error")
    assert peer.wait() == 1
    for text in (error["message"], peer.stderr):
        assert "no thread can be started" in text
    assert "Traceback" not in peer.stderr
