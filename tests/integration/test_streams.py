"""Streams and their credit, over real pipes."""

from __future__ import annotations

import os

import pytest

from bridge.errors import CallError
from bridge.wire import Encoder


def test_items_come_in_order_and_the_response_carries_the_return_value(peer):
    msgid = peer.request("count", [5], stream={"items": 10, "bytes": 1000})
    assert peer.result(msgid) == "counted"
    assert peer.items[msgid] == [0, 1, 2, 3, 4]


def test_credit_is_never_exceeded(peer):
    msgid = peer.request("count", [100], stream={"items": 3, "bytes": 1000})
    for granted in (3, 5, 9):
        while len(peer.items.get(msgid, [])) < granted:
            peer.call("$/ping")
        # the pings were answered after the items: whatever is sent has come by now
        peer.call("$/ping")
        assert len(peer.items[msgid]) == granted
        peer.credit(msgid, {3: 2, 5: 4, 9: 91}[granted])
    peer.credit(msgid, 1)
    assert peer.result(msgid) == "counted"
    assert peer.items[msgid] == list(range(100))


def test_a_window_of_bytes_lets_one_item_through_that_is_larger(peer):
    msgid = peer.request("blobs", [5000], stream={"items": 100, "bytes": 8000})
    while len(peer.items.get(msgid, [])) < 2:
        peer.call("$/ping")
    peer.call("$/ping")
    assert len(peer.items[msgid]) == 2
    peer.cancel(msgid)


def test_a_slow_reader_pauses_an_endless_stream(peer):
    stream = peer.stream("blobs", [1000], items=4)
    for _ in range(100):
        next(stream)
    (items,) = (found for found in peer.items.values() if found)
    assert len(items) <= 104


def test_cancelling_runs_the_generators_finally(peer, tmp_path):
    mark = tmp_path / "mark"
    msgid = peer.request("count", [10**9, str(mark)], stream={"items": 2, "bytes": 1000})
    while len(peer.items.get(msgid, [])) < 2:
        peer.call("$/ping")
    peer.cancel(msgid)
    with pytest.raises(CallError, match="cancelled"):
        peer.result(msgid)
    while peer.call("$/health")["busy"]:
        pass
    assert mark.read_text() == "ended"
    assert peer.items[msgid] == [0, 1]


def test_a_streaming_tool_needs_the_option(peer):
    with pytest.raises(CallError, match="streams") as caught:
        peer.call("count", [1])
    assert caught.value.code == "invalid_argument"


def test_a_plain_tool_may_be_streamed_and_sends_no_items(peer):
    msgid = peer.request("echo", [1], stream={"items": 1, "bytes": 1})
    assert peer.result(msgid) == 1
    assert msgid not in peer.items


def test_a_plain_tool_is_not_streamed_to_a_peer_that_wants_that_refused(peer):
    for _ in range(40):
        peer.call("echo", [1])  # it may be known to be quick
    peer.send_frame(Encoder().notification("$/hello", [{"plain_streams": False}]))
    for _ in range(3):
        msgid = peer.request("echo", [1], stream={"items": 1, "bytes": 1})
        with pytest.raises(CallError, match="echo does not stream") as caught:
            peer.result(msgid)
        assert (caught.value.code, caught.value.started) == ("invalid_argument", False)
    assert peer.call("echo", [1]) == 1
    msgid = peer.request("count", [2], stream={"items": 9, "bytes": 999})
    assert peer.result(msgid) == "counted"


def test_negative_credit_ends_the_stream_and_nothing_else(peer):
    msgid = peer.request("count", [10], stream={"items": 1, "bytes": 1000})
    peer.credit(msgid, -1)
    with pytest.raises(CallError, match="credit must be") as caught:
        peer.result(msgid)
    assert caught.value.code == "invalid_argument"
    assert peer.call("echo", [1]) == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_async_streams_that_wait_for_credit_need_no_thread_each(bridge_adapter):
    peer = bridge_adapter("conformance_tools:Tools")

    def begin(items):
        return peer.request("async_count", [3], stream={"items": items, "bytes": 1000})

    def threads():
        return len(os.listdir(f"/proc/{peer.process.pid}/task"))

    peer.result(begin(10))
    before = threads()
    waiting = [begin(1) for _ in range(100)]
    while not all(peer.items.get(msgid) for msgid in waiting):
        peer.call("$/ping")
    assert peer.call("$/health")["async_running"] == 100
    assert threads() < before + 10
    peer.cancel(waiting[0])
    with pytest.raises(CallError, match="cancelled"):
        peer.result(waiting[0])
    for msgid in waiting[1:]:
        peer.credit(msgid, 5)
    for msgid in waiting[1:]:
        peer.result(msgid)
        assert peer.items[msgid] == [0, 1, 2]
