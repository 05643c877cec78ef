"""What a caller sees, over real pipes."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

from bridge.errors import CallError


def test_ready_says_what_the_bridge_is(start):
    peer = start("--max-workers", "3", "--max-queue", "5")
    assert peer.ready["protocol"] == 1
    assert peer.ready["pid"] == peer.process.pid
    assert peer.ready["limits"] == {
        "max_message_bytes": 64 << 20,
        "max_message_items": 2 << 20,
        "max_answer_bytes": 2047 << 20,
        "max_workers": 3,
        "max_queue": 5,
        "shared_memory_from": 1 << 20,
    }
    assert "echo" in peer.ready["tools"]
    assert peer.ready["idempotent"] == ["echo"]
    assert peer.ready["python"]["gil"] in (True, False)


def test_ready_is_the_first_message_though_a_request_came_early(start):
    peer = start(wait_until_ready=False)
    early = [peer.request("$/ping", [n]) for n in range(20)]
    assert [peer.result(msgid) for msgid in early] == list(range(20))
    assert peer.first == "$/ready"


@pytest.mark.parametrize("value", [None, True, 2**64, -(2**63) - 1, 1.5, "täxt", b"\xff", [1, {}]])
def test_values_come_back(peer, value):
    assert peer.call("echo", [value]) == value


def test_not_a_number_and_the_infinities_come_back(peer):
    nan, up, down, zero = peer.call("specials")
    assert math.isnan(nan)
    assert (up, down, math.copysign(1, zero)) == (math.inf, -math.inf, -1)


def test_tensors_travel_both_ways(peer):
    array = peer.call("product", [3])
    assert array.dtype == np.float32
    assert array.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert peer.call("total", [array]) == 6


def test_large_messages_arrive_whole(peer):
    data = bytes(range(256)) * (3 << 12)
    assert peer.call("echo", [data]) == data


def test_sixteen_sleeps_run_at_once(start):
    peer = start("--max-workers", "16")
    began = time.monotonic()
    ids = [peer.request("sleep", [0.3]) for _ in range(16)]
    for msgid in ids:
        peer.result(msgid)
    assert time.monotonic() - began < 16 * 0.3, "they ran one after the other"


def test_everybody_gets_their_own_answer_once(peer):
    errors = []

    def caller(name):
        for n in range(200):
            if peer.call("echo", [[name, n]]) != [name, n]:
                errors.append((name, n))

    threads = [threading.Thread(target=caller, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(len(answers) == 1 for answers in peer.responses.values())
    assert peer.call("$/health")["in_flight"] == 0


def test_the_bridge_answers_while_every_worker_is_busy(peer):
    ids = [peer.request("cooperative") for _ in range(4)]
    for msgid in ids:
        peer.notification("$/progress", lambda p, msgid=msgid: p[0] == msgid)
    assert peer.call("$/ping", ["there?"]) == "there?"
    assert peer.call("$/health")["busy"] == 4
    assert peer.call("$/stats")["tools"]["cooperative"]["in_flight"] == 4
    waiting = peer.request("echo", [1])
    peer.cancel(waiting)
    with pytest.raises(CallError, match="before the tool started"):
        peer.result(waiting)


def test_a_cancelled_call_is_answered_at_once_and_the_tool_learns_of_it(peer):
    msgid = peer.request("cooperative")
    peer.notification("$/progress")
    peer.cancel(msgid)
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    assert (caught.value.code, caught.value.started) == ("cancelled", True)
    while peer.call("$/health")["busy"]:
        pass
    assert peer.call("$/stats")["interrupted"] == {"cancelled": 1}


def test_a_deadline_ends_a_call_that_ignores_it(peer):
    with pytest.raises(CallError) as caught:
        peer.call("sleep", [1.0], timeout_ms=30)
    assert caught.value.code == "deadline_exceeded"
    assert peer.call("$/health")["abandoned"] == 1


def test_a_full_queue_refuses_at_once(start):
    peer = start("--max-workers", "1", "--max-queue", "2")
    running = peer.request("cooperative")
    peer.notification("$/progress")
    waiting = [peer.request("echo", [n]) for n in range(2)]
    with pytest.raises(CallError) as caught:
        peer.call("echo", [3])
    assert (caught.value.code, caught.value.started) == ("resource_exhausted", False)
    peer.cancel(running)
    assert [peer.result(msgid) for msgid in waiting] == [0, 1]


@pytest.mark.parametrize("arguments", [(), ("--no-inline",)], ids=["inline", "workers"])
@pytest.mark.parametrize(
    ("adapter", "tool", "params"),
    [
        ("adapters:Tools", "echo", [1]),
        ("adapters:Tools", "alone", []),
        ("batch_tools:Batches", "divide", [6, 3]),
    ],
)
def test_one_call_at_a_time_needs_no_queue(start, adapter, tool, params, arguments):
    # the worker that has just answered counts as free, though it is not idle yet
    peer = start("--max-workers", "1", "--max-queue", "0", *arguments, adapter=adapter)
    answers = [peer.call(tool, params) for _ in range(1500)]
    assert answers == answers[:1] * 1500


def test_an_exception_arrives_with_its_type_and_traceback(peer):
    with pytest.raises(CallError) as caught:
        peer.call("raises", ["bad weather"])
    error = caught.value
    assert (error.code, error.type, error.message) == (
        "internal",
        "builtins.ValueError",
        "bad weather",
    )
    assert "in raises" in error.traceback[1]


def test_a_tool_that_raises_system_exit_fails_alone(peer):
    with pytest.raises(CallError, match="3"):
        peer.call("raises_system_exit")
    assert peer.call("echo", [1]) == 1


def test_async_tools_run_at_once(peer):
    ids = [peer.request("async_sleep", [0.05]) for _ in range(4)]
    assert [peer.result(msgid) for msgid in ids] == [0.05] * 4


def test_log_lines_reach_the_peer(peer):
    msgid = peer.request("logs", ["hello"])
    assert peer.result(msgid) is None
    level, logger, _, fields, call = peer.notification("$/log", lambda p: p[2] == "hello")
    assert (level, logger, fields, call) == ("info", "bridge.tool.logs", {"number": 1}, msgid)


def test_tools_are_described(peer):
    tools = {described["name"]: described for described in peer.call("$/tools")}
    assert tools["echo"]["description"] == "Return what was sent."
    assert tools["count"]["streaming"] is True
    assert (tools["echo"]["idempotent"], tools["count"]["idempotent"]) == (True, False)
    assert tools["count"]["parameters"][1] == {
        "name": "mark",
        "kind": "either",
        "annotation": "str",
        "required": False,
        "default": "",
    }
