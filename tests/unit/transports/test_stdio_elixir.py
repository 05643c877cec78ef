"""The way back over the pipe: the numbered interleavings of ``transports/stdio/elixir.py``."""

from __future__ import annotations

import os
import threading

import pytest

from bridge import CallError, Context, tool
from bridge.errors import Cancelled, ElixirError, InvalidParams
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.channel import Channel
from bridge.transports.stdio.elixir import StdioElixir
from bridge.wire import Connection, Encoder, ResponseReceived, decode_message
from bridge.wire.framing import HEADER_BYTES
from tests.tool_bench import Bench
from tests.waiting import wait_until


@tool
def ask(value, ctx: Context):
    return ctx.call_elixir("function", value)


@tool
def total(ctx: Context):
    return sum(ctx.stream_elixir("numbers"))


class Pipe:
    """A bench whose tools ask over a pipe, and the other end of it."""

    def __init__(self) -> None:
        self.source, sink = os.pipe()
        self.connection = Connection(1 << 20)
        self.channel = Channel(sink, self.connection, lambda: None)
        self.bench = Bench(ask, total)
        self.elixir = StdioElixir(self.channel, self.bench.dispatcher)
        self.bench.dispatcher.runtime.elixir = self.elixir
        self.encoder = Encoder()

    def sent(self):
        """The next message that was sent; waits for it."""
        size = int.from_bytes(os.read(self.source, HEADER_BYTES), "big")
        return decode_message(os.read(self.source, size))

    def receive(self, data):
        """Let a message come, and return the events that are none of Elixir's."""
        others = []
        for event in self.connection.receive_data(frame(data)):
            if (
                hasattr(event, "outcome")
                or isinstance(event, ResponseReceived)
                or hasattr(event, "size")
            ):
                self.elixir.receive(event)
            else:
                others.append(event)
        return others


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.bench.dispatcher.cancel_all("the test is over")


def test_a_request_and_its_answer(pipe):
    key = pipe.bench.start("ask", [1], session="s", metadata={"traceparent": "t"}, timeout_s=60)
    request = pipe.sent()
    assert (request.method, request.params) == ("function", [[1]])
    options = request.options
    assert (options.session, options.metadata, options.within) == ("s", {"traceparent": "t"}, key)
    assert 50 < options.timeout_s <= 60
    assert not pipe.receive(pipe.encoder.result(request.msgid, "answer"))
    assert pipe.bench.result(key) == "answer"


@pytest.mark.parametrize(
    ("wire", "code", "kind"),
    [
        ({"code": "not_found", "message": "m"}, "not_found", None),
        ({"code": "internal", "message": "m", "details": {"kind": "throw"}}, "internal", "throw"),
        ({"code": 7, "message": None, "type": [], "traceback": 3, "details": []}, "unknown", None),
        ({}, "unknown", None),
    ],
    ids=str,
)
def test_whatever_an_error_has_in_it_the_tool_gets_one(pipe, wire, code, kind):
    key = pipe.bench.start("ask", None)
    pipe.receive(pipe.encoder.error(pipe.sent().msgid, wire))
    error = pipe.bench.error(key)
    assert isinstance(error, ElixirError)
    assert (error.code, error.kind) == (code, kind)


@pytest.mark.parametrize("data", [b"\x94\x01\x01\xc0", b"\x94\x01\x01\x07\xc0", bytes(1 << 21)])
def test_an_answer_that_cannot_be_read_ends_the_request(pipe, data):
    key = pipe.bench.start("ask", None)
    assert pipe.sent().msgid == 1
    if len(data) > 100:  # beyond the limit: refused on its header
        data = pipe.encoder.result(1, data)
    assert not pipe.receive(bytes(data))
    assert "the answer cannot be read" in pipe.bench.error(key).message


def test_what_has_no_form_is_refused_and_nothing_is_asked(pipe):
    error = pipe.bench.error(pipe.bench.start("ask", object()))
    assert isinstance(error, InvalidParams)
    assert "params[0]" in error.message
    assert len(pipe.connection.requester) == 0


def test_an_answer_that_comes_before_the_wait_is_not_missed(pipe, monkeypatch):
    """(1)"""
    send = pipe.channel.writer.send

    def answer_at_once(message):
        msgid = decode_message(message).msgid
        pipe.receive(pipe.encoder.result(msgid, "at once"))
        send(message)

    monkeypatch.setattr(pipe.channel.writer, "send", answer_at_once)
    assert pipe.bench.result(pipe.bench.start("ask", None)) == "at once"


def test_a_call_that_was_interrupted_before_it_asks_asks_nothing(pipe):
    """(2) Before; and just after it has asked."""
    entered, leave = threading.Event(), threading.Event()

    @tool
    def late(ctx: Context):
        entered.set()
        leave.wait()
        return ctx.call_elixir("function")

    bench = Bench(late, elixir=pipe.elixir)
    key = bench.start("late")
    entered.wait()
    bench.dispatcher.cancel(key)
    leave.set()
    assert isinstance(bench.error(key), Cancelled)
    wait_until(lambda: all(worker.job is None for worker in bench.pool.workers))
    assert len(pipe.connection.requester) == 0


def test_a_call_that_is_interrupted_while_it_asks_does_not_wait(pipe, monkeypatch):
    """(2)"""
    send = pipe.channel.writer.send

    def cancel_at_once(message):
        pipe.bench.dispatcher.cancel(1)
        send(message)

    monkeypatch.setattr(pipe.channel.writer, "send", cancel_at_once)
    assert isinstance(pipe.bench.error(pipe.bench.start("ask", None)), Cancelled)
    assert pipe.sent().method == "function"
    assert pipe.sent().method == "$/cancelRequest"


def test_an_answer_after_the_interruption_is_dropped(pipe):
    """(3)"""
    key = pipe.bench.start("ask", None)
    msgid = pipe.sent().msgid
    pipe.bench.dispatcher.cancel(key)
    assert isinstance(pipe.bench.error(key), Cancelled)
    assert pipe.sent().params == [msgid]
    assert not pipe.receive(pipe.encoder.result(msgid, "late"))
    assert len(pipe.connection.requester) == 0
    (fault,) = pipe.receive(pipe.encoder.result(msgid, "twice"))
    assert "never made" in fault.error.message


def test_a_stream_is_given_credit_as_it_is_read_and_no_item_beyond_it(pipe):
    key = pipe.bench.start("total")
    request = pipe.sent()
    items, _ = request.options.credit
    for number in range(items):
        assert not pipe.receive(pipe.encoder.item(request.msgid, number))
    credit = pipe.sent()
    assert (credit.method, credit.params[0]) == ("$/credit", request.msgid)
    assert not pipe.receive(pipe.encoder.item(request.msgid, 1000))
    pipe.receive(pipe.encoder.result(request.msgid, None))
    assert pipe.bench.result(key) == sum(range(items)) + 1000


def test_items_without_credit_are_a_fault(pipe):
    pipe.bench.start("ask", None)
    msgid = pipe.sent().msgid
    for data in (pipe.encoder.item(msgid, 1), b"\x93\x02\xa6$/item\x91\x01"):
        (fault,) = pipe.receive(data)
        assert fault.error.code == "invalid_argument"
    assert not pipe.receive(pipe.encoder.item(77, 1))


def test_a_tool_on_the_event_loop_is_told_to_await(pipe):
    @tool
    async def blocks(ctx: Context):
        return ctx.call_elixir("function")

    bench = Bench(blocks, elixir=pipe.elixir)
    error = bench.error(bench.start("blocks"))
    assert isinstance(error, CallError)
    assert "await ctx.acall_elixir" in error.message
