"""The items of a call over a pipe, and the numbered interleavings of the stream."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import Cancelled
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.channel import Channel
from bridge.transports.stdio.peer import StdioPeer
from bridge.wire.codec import Encoder
from bridge.wire.connection import Connection
from tests.waiting import in_thread, join, passed, wait_until


class Subject:
    """A peer at the end of a pipe, and calls that stream to it."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        self.connection = Connection(1 << 20)
        self.channel = Channel(self.sink, self.connection, lambda: None)
        self.peer = StdioPeer(self.channel)

    def request(self, msgid: int, items: int = 0) -> Any:
        """A request to stream arrives; the call that it makes."""
        options = {"stream": {"items": items, "bytes": 1 << 20}}
        self.connection.receive_data(frame(Encoder().request(msgid, "count", [], options)))
        return SimpleNamespace(key=msgid, interruption=None)

    def grant(self, msgid: int, items: int) -> None:
        """Credit arrives, as the reader takes it."""
        data = Encoder().notification("$/credit", [msgid, items, 1])
        for event in self.connection.receive_data(frame(data)):
            self.peer.wake_stream(event.msgid)

    def close(self) -> None:
        for descriptor in (self.source, self.sink):
            os.close(descriptor)


@pytest.fixture
def subject() -> Iterator[Subject]:
    subject = Subject()
    yield subject
    subject.close()


class OutOfDate:
    """Credit that changes just when it is looked at, and is told as it was before."""

    def __init__(self, credit: Any, script: Any) -> None:
        self._credit, self._script, self._looks = credit, script, 0

    @property
    def available(self) -> bool:
        was = self._credit.available
        self._looks += 1
        if self._looks == 2:  # the first look is before the stream can be found
            self._script()
        return was


def test_credit_that_comes_while_the_worker_begins_to_wait_is_noticed(subject):
    """(1) Between the last look and the waiting."""
    stream = subject.peer.open_stream(subject.request(1))
    stream._credit = OutOfDate(stream._credit, lambda: subject.grant(1, 1))
    join(in_thread(stream.wait))


def test_an_answer_wakes_the_worker_that_waits_for_credit(subject):
    """(2)"""
    call = subject.request(1)
    worker = in_thread(subject.peer.open_stream(call).wait)
    wait_until(lambda: 1 in subject.peer._paused, "the worker to wait")
    call.interruption = Cancelled("nobody waits", started=True)
    subject.peer.send_error(1, call.interruption)
    join(worker)
    assert subject.peer._paused == {}


class SlowToWake(threading.Event):
    """An event whose waiting thread goes on only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        passed(self.may_go_on)
        return True


def test_a_stream_whose_id_was_used_before_is_found(subject):
    """(4) The first one's worker wakes up when the second one waits."""
    call = subject.request(1)
    first = subject.peer.open_stream(call)
    first._look = SlowToWake()
    worker = in_thread(first.wait)
    wait_until(lambda: 1 in subject.peer._paused, "the first worker to wait")
    call.interruption = Cancelled("nobody waits", started=True)
    subject.peer.send_error(1, call.interruption)
    second = subject.peer.open_stream(subject.request(1))
    other = in_thread(second.wait)
    wait_until(lambda: subject.peer._paused.get(1) is second, "the second worker to wait")
    first._look.may_go_on.set()
    join(worker)
    subject.grant(1, 1)
    join(other)
