"""The stdio transport where threads meet: what a process cannot be brought to do at will."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge import tool
from bridge.adapter import bind_tools
from bridge.dispatcher import Dispatcher
from bridge.pool import Pool
from bridge.transports.stdio import StdioTransport
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.framing import FrameDecoder
from bridge.wire.messages import Notification, Response
from tests.helpers import frame
from tests.peers import passed


class Count:
    @tool
    def count(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1


class Wire:
    """A transport in this process, with the peer's ends of its pipes."""

    def __init__(self, inline: bool = True) -> None:
        source, self.to_bridge = os.pipe()
        self.from_bridge, self._sink = os.pipe()
        self.gone = threading.Event()
        self.dispatcher = Dispatcher(bind_tools(Count()), Pool(2, 2))
        self.transport = StdioTransport(
            source,
            self._sink,
            max_message_bytes=1 << 20,
            gone=self.gone.set,
            shutdown=lambda: None,
            inline=inline,
        )
        self._frames = FrameDecoder(1 << 20)

    def request(self, msgid: int, **options: Any) -> None:
        """A request arrives."""
        os.write(self.to_bridge, frame(Encoder().request(msgid, "count", [], options)))

    def read(self) -> list[Any]:
        """The messages that have come; waits for one at least."""
        frames: list[Any] = []
        while not frames:
            count = os.readv(self.from_bridge, [self._frames.get_buffer()])
            frames = self._frames.buffer_updated(count)
        return [decode_message(bytes(frame)) for frame in frames]

    def close(self) -> None:
        os.close(self.to_bridge)
        passed(self.gone)
        self.transport._source.close()  # a process just ends
        for descriptor in (self.from_bridge, self._sink):
            os.close(descriptor)


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Makes transports that end in their test."""
    made: list[Wire] = []

    def wire(**options: Any) -> Wire:
        made.append(Wire(**options))
        return made[-1]

    yield wire
    for each in made:
        each.close()


@pytest.mark.parametrize("inline", [True, False])
def test_a_bug_on_the_reader_counts_as_a_peer_that_is_gone(inline, wire, monkeypatch):
    bugs: list[Any] = []

    def bug(events: Any) -> None:
        raise RuntimeError("a bug")

    subject = wire(inline=inline)
    monkeypatch.setattr(subject.transport, "_handle_all", bug)
    monkeypatch.setattr(threading, "excepthook", lambda args: bugs.append(args.exc_value))
    subject.transport.start(subject.dispatcher)
    subject.request(1)
    passed(subject.gone)
    subject.request(2)
    assert [str(error) for error in bugs] == ["a bug"]


def test_an_answer_that_overtakes_an_item_is_the_last_word(wire, monkeypatch):
    """The call is cancelled between the worker's look and its sending."""
    subject = wire()
    item = subject.transport._connection.item

    def overtaken(encoder: Any, msgid: int, credit: Any, value: Any) -> Any:
        message = item(encoder, msgid, credit, value)
        if value == 3:
            assert subject.dispatcher.cancel(msgid)
        return message

    monkeypatch.setattr(subject.transport._connection, "item", overtaken)
    subject.transport.start(subject.dispatcher)
    subject.request(1, stream={"items": 100, "bytes": 1 << 20})
    messages: list[Any] = []
    while not any(type(message) is Response for message in messages):
        messages += subject.read()
    assert subject.dispatcher.wait_until_idle(10.0)
    subject.transport.bye("the end")
    while messages[-1] != Notification("$/bye", ["the end"]):
        messages += subject.read()
    *items, response, _bye = messages
    assert items == [Notification("$/item", [1, number]) for number in range(3)]
    assert response.error["code"] == "cancelled"
