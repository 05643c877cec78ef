"""The end of a process that serves stdio: what was read is answered, and nothing follows the bye."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.calls.latency import QUICK
from bridge.wire.messages import Notification, Response
from tests.waiting import in_thread, join, passed, wait_until

from .test_stdio import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    wire.reader.start()
    yield wire
    wire.close()


def test_what_is_decoded_while_the_reading_is_stopped_is_handed_on(wire):
    """(1) The drain begins when a request was decoded, and is not handed on yet."""
    answers: list[bool] = []
    hands_on, dispatch = wire.reader.hands_on, wire.dispatcher.dispatch

    def ask() -> bool:
        answers.append(hands_on())
        return answers[-1]

    def dispatch_late(request: Any, peer: Any) -> None:
        draining.append(in_thread(wire.dispatcher.drain, 10.0, wire.reader))
        wait_until(lambda: answers, "the drain")
        dispatch(request, peer)

    draining: list[Any] = []
    wire.reader.hands_on = ask  # type: ignore[method-assign]
    wire.dispatcher.dispatch = dispatch_late  # type: ignore[method-assign]
    wire.request(1, "answer")
    wait_until(lambda: draining)
    join(*draining)
    assert answers[0], "the drain did not wait for it"
    wire.peer.bye("the end")
    messages: list[Any] = []
    while Notification("$/bye", ["the end"]) not in messages:
        messages += wire.read()
    assert [type(message) for message in messages] == [Response, Notification]


def test_what_arrives_after_the_reading_was_stopped_is_not_decoded(wire):
    """(1) The other way round."""
    updated, decoded = wire.connection.buffer_updated, []

    def update(count: int) -> Any:
        events = updated(count)
        decoded.append(list(events))
        return events

    wire.connection.buffer_updated = update  # type: ignore[method-assign]
    wire.reader.stop()
    wire.request(1, "answer")
    wait_until(lambda: decoded)
    assert decoded == [[]]


def test_what_a_late_thread_had_read_is_handed_on_by_the_other(wire):
    """(2)"""
    wire.dispatcher.tools["fail"].latency.state = QUICK
    slow = wire.tools.slow
    wait_until(lambda: wire.reader._watchdog.watched)
    wire.request(1, "fail")
    passed(slow.begun)
    try:
        wait_until(lambda: not wire.reader.hands_on(), "the other thread")
    finally:
        slow.go_on.set()
