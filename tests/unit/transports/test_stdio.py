"""The stdio transport where threads meet: what a process cannot be brought to do at will."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge import Context, tool
from bridge.adapter import bind_tools
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.pool import Pool
from bridge.errors import CallError
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.channel import Channel
from bridge.transports.stdio.peer import StdioPeer
from bridge.transports.stdio.reader import StdioReader
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.connection import Connection
from bridge.wire.framing import FrameDecoder
from bridge.wire.messages import Notification, Response
from tests.waiting import in_thread, join, passed


class Slow:
    """A value that takes its time to become plain."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def model_dump(self) -> str:
        self.begun.set()
        passed(self.go_on)
        return "plain"


class Tools:
    def __init__(self) -> None:
        self.slow = Slow()

    @tool
    def fail(self) -> None:
        raise CallError("slowly", code="internal", details={"why": self.slow})

    @tool
    def count(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    @tool
    def answer(self) -> int:
        return 42

    @tool
    def report(self, ctx: Context) -> None:
        for step in range(5):
            ctx.progress(step)


class Wire:
    """A bridge in this process, with the peer's ends of its pipes."""

    def __init__(self, inline: bool = True) -> None:
        source, self.to_bridge = os.pipe()
        self.from_bridge, self._sink = os.pipe()
        self.gone = threading.Event()
        self.tools = Tools()
        self.connection = Connection(1 << 20)
        channel = Channel(self._sink, self.connection, self.gone.set)
        self.dispatcher = Dispatcher(bind_tools(self.tools), Pool(2, 2, channel.writer))
        self.peer = StdioPeer(channel)
        self.reader = StdioReader(
            source,
            channel,
            self.peer,
            self.dispatcher,
            gone=self.gone.set,
            shutdown=lambda: None,
            inline=inline,
        )
        self._frames = FrameDecoder(1 << 20)

    def request(self, msgid: int, tool: str, **options: Any) -> None:
        """A request arrives."""
        os.write(self.to_bridge, frame(Encoder().request(msgid, tool, [], options)))

    def read_to_the_end(self) -> list[Any]:
        """All messages to the answer of a call, and all that come once no tool runs any more."""
        messages: list[Any] = []
        while not any(type(message) is Response for message in messages):
            messages += self.read()
        assert self.dispatcher.wait_until_idle(10.0)
        self.peer.bye("the end")
        while messages[-1] != Notification("$/bye", ["the end"]):
            messages += self.read()
        return messages[:-1]

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
        self.reader.close()  # a process just ends
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
    monkeypatch.setattr(subject.reader, "_handle_all", bug)
    monkeypatch.setattr(threading, "excepthook", lambda args: bugs.append(args.exc_value))
    subject.reader.start()
    subject.request(1, "report")
    passed(subject.gone)
    subject.request(2, "report")
    assert [str(error) for error in bugs] == ["a bug"]


def test_a_log_line_that_comes_as_its_call_is_answered_has_no_id_any_more(wire):
    subject = wire()
    subject.reader.start()
    slow = Slow()
    subject.connection.receive_data(frame(Encoder().request(7, "answer", [])))
    logging = in_thread(
        lambda: subject.peer.send_log("info", "tools", "a line", {"slow": slow, "n": 1}, 7)
    )
    passed(slow.begun)
    subject.peer.send_result(7, subject.peer.prepare_result(7, "done"))
    slow.go_on.set()
    join(logging)
    subject.peer.flush()
    messages: list[Any] = []
    while len(messages) < 2:
        messages += subject.read()
    line = Notification("$/log", ["info", "tools", "a line", {"slow": "plain", "n": 1}, None])
    assert messages == [Response(7, None, "done"), line]


def bug(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("a bug")


def no_memory(*args: Any, **kwargs: Any) -> Any:
    raise MemoryError


#: Where one message is handled, and what of ``Wire`` does it.
PLACES = [
    ("dispatcher", "admit"),
    ("dispatcher", "start"),
    ("dispatcher.pool", "submit"),
    ("dispatcher.tools", "get"),
    ("reader._requests", "serve"),
    ("peer", "answer"),
]


@pytest.mark.parametrize(("fault", "code"), [(bug, "internal"), (no_memory, "resource_exhausted")])
@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize("method", ["answer", "$/ping"])
@pytest.mark.parametrize("inline", [True, False])
def test_what_goes_wrong_with_one_message_is_its_error(
    inline, method, place, fault, code, wire, monkeypatch
):
    subject = wire(inline=inline)
    *path, name = place
    owner = subject
    for part in ".".join(path).split("."):
        owner = getattr(owner, part)
    if isinstance(owner, dict):
        owner = subject.dispatcher
        monkeypatch.setattr(owner, "tools", Unreadable(owner.tools, fault))
    else:
        monkeypatch.setattr(owner, name, fault)
    subject.reader.start()
    subject.request(1, method)
    (answer,) = subject.read()
    if answer.error is not None:
        assert (answer.msgid, answer.error["code"]) == (1, code)
    monkeypatch.undo()
    subject.request(2, "answer")
    assert subject.read() == [Response(2, None, 42)]
    assert not subject.gone.is_set()


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("method", ["answer", "fail"])
@pytest.mark.parametrize("where", ["encoding", "queueing", "both"])
def test_a_call_for_which_no_memory_is_left_is_answered(inline, method, where, wire, monkeypatch):
    """Neither for its result, nor to say that there is none, nor to say that this failed."""
    subject = wire(inline=inline)
    subject.tools.slow.go_on.set()
    writer, failures = subject.peer._writer, []
    send = writer.send

    def refuse_at_first(message):
        failures.append(message)
        if len(failures) < 4:
            raise MemoryError
        send(message)

    if where != "queueing":
        monkeypatch.setattr(Encoder, "result", no_memory)
        monkeypatch.setattr(Encoder, "error", no_memory)
    if where != "encoding":
        monkeypatch.setattr(writer, "send", refuse_at_first)
    subject.reader.start()
    subject.request(2**40, method)
    (answer,) = subject.read()
    assert (answer.msgid, answer.error["code"]) == (2**40, "resource_exhausted")
    assert answer.error["started"]
    monkeypatch.undo()
    subject.request(2, "answer")
    assert subject.read() == [Response(2, None, 42)]
    assert not subject.dispatcher.calls


class Unreadable(dict[str, Any]):
    """Tools that cannot be looked up."""

    def __init__(self, tools: Any, fault: Callable[..., Any]) -> None:
        super().__init__(tools)
        self.get = fault  # type: ignore[method-assign]


@pytest.mark.parametrize("method", ["$/cancelRequest", "$/credit"])
def test_what_goes_wrong_with_a_notification_is_said_and_ends_nothing(method, wire, monkeypatch):
    subject = wire()
    monkeypatch.setattr(subject.dispatcher, "cancel", bug)
    monkeypatch.setattr(subject.peer, "wake_stream", bug)
    subject.reader.start()
    subject.request(1, "count", stream={"items": 0, "bytes": 1})
    params = [1] if method == "$/cancelRequest" else [1, 0, 1]
    os.write(subject.to_bridge, frame(Encoder().notification(method, params)))
    (said,) = subject.read()
    assert (said.method, said.params[0]["code"]) == ("$/error", "internal")
    monkeypatch.undo()
    assert subject.dispatcher.cancel(1)
    assert [message.msgid for message in subject.read()] == [1]


def test_an_answer_is_sent_though_the_call_cannot_be_interrupted(wire, monkeypatch):
    """The claim is taken: nobody else will give it."""
    subject = wire()
    monkeypatch.setattr(subject.dispatcher.pool, "discard", bug)
    subject.reader.start()
    subject.request(1, "count", stream={"items": 0, "bytes": 1})
    os.write(subject.to_bridge, frame(Encoder().notification("$/cancelRequest", [1])))
    messages = []
    while len(messages) < 2:
        messages += subject.read()
    response, said = messages
    assert (response.msgid, response.error["code"]) == (1, "cancelled")
    assert said.method == "$/error"


def test_an_answer_that_overtakes_an_item_is_the_last_word(wire, monkeypatch):
    """The call is cancelled between the worker's look and its sending."""
    subject = wire()
    item = subject.connection.item

    def overtaken(encoder: Any, msgid: int, credit: Any, value: Any) -> Any:
        message = item(encoder, msgid, credit, value)
        if value == 3:
            assert subject.dispatcher.cancel(msgid)
        return message

    monkeypatch.setattr(subject.connection, "item", overtaken)
    subject.reader.start()
    subject.request(1, "count", stream={"items": 100, "bytes": 1 << 20})
    *items, response = subject.read_to_the_end()
    assert items == [Notification("$/item", [1, number]) for number in range(3)]
    assert response.error["code"] == "cancelled"


def test_an_answer_that_overtakes_progress_is_the_last_word(wire, monkeypatch):
    """The call is cancelled between the tool's report and its sending."""
    subject = wire()
    send_progress = subject.peer.send_progress

    def overtaken(key: int, done: float, *rest: Any) -> None:
        if done == 3:
            assert subject.dispatcher.cancel(key)
        send_progress(key, done, *rest)

    monkeypatch.setattr(subject.peer, "send_progress", overtaken)
    subject.reader.start()
    subject.request(1, "report")
    *reports, response = subject.read_to_the_end()
    assert [report.params[1] for report in reports] == [0, 1, 2]
    assert response.error["code"] == "cancelled"


def test_an_error_that_takes_long_to_encode_holds_up_no_other_answer(wire):
    subject = wire()
    subject.reader.start()
    subject.request(1, "fail")
    passed(subject.tools.slow.begun)
    subject.request(2, "count", stream={"items": 1, "bytes": 1 << 20})
    assert subject.read() == [Notification("$/item", [2, 0])]
    join(in_thread(subject.dispatcher.cancel, 2))
    assert [message.msgid for message in subject.read()] == [2]
    subject.tools.slow.go_on.set()
    (response,) = subject.read()
    assert (response.msgid, response.error["details"]) == (1, {"why": "plain"})


class Leaving:
    """Ends the process when it is shown or made plain."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    def model_dump(self) -> Any:
        raise SystemExit(4)


@pytest.mark.parametrize(
    "odd",
    [object(), Leaving(), "caf\udce9", "x" * (1 << 20), 10**5000],
    ids=["object", "leaving", "half a character", "long", "very long number"],
)
def test_what_cannot_travel_is_replaced_where_it_stands_in_a_log_record(odd, wire):
    subject = wire()
    subject.reader.start()
    subject.peer.send_log("error", "importer", "cannot open", {"handle": odd, "n": [1, odd]}, None)
    subject.peer.flush()
    ((level, logger, text, fields, key),) = [message.params for message in subject.read()]
    assert (level, logger, text, key) == ("error", "importer", "cannot open", None)
    assert fields["n"][0] == 1
    assert fields["handle"] == fields["n"][1]


def test_half_characters_are_escaped_in_all_of_a_record_and_of_progress(wire):
    subject = wire()
    odd = "caf\udce9"
    subject.reader.start()
    subject.request(1, "count", stream={"items": 0, "bytes": 1})
    os.write(subject.to_bridge, frame(Encoder().request(2, "$/ping", [])))
    subject.read()  # the first request has been read, too
    subject.peer.send_log(odd, odd, odd, {odd: odd}, 1)
    subject.peer.send_progress(1, 1, 10, odd)
    subject.peer.flush()
    messages = []
    while len(messages) < 2:
        messages += subject.read()
    escaped = "caf\\udce9"
    assert messages[0].params == [escaped, escaped, escaped, {escaped: escaped}, 1]
    assert messages[1].params == [1, 1, 10, escaped]


def test_a_very_long_line_of_a_log_is_cut_and_says_by_how_much(wire):
    subject = wire()
    subject.reader.start()
    # written by the writer's own thread: it may be more than the pipe takes
    subject.peer.send_log("info", "parser", "x" * (20 << 20), {"n": 1}, None)
    (message,) = subject.read()
    text, fields = message.params[2:4]
    assert len(text) < 1 << 16
    assert text.endswith(" more bytes)")
    assert fields == {"n": 1}
