"""Streaming calls: items in order at the peer's pace, then the one answer; nothing is left open."""

import threading

import pytest

from bridge import Context, current_context, tool
from tests.tool_bench import Bench, RecordingPeer, Unencodable
from tests.waiting import WAIT_S, passed, wait_until


class Counting:
    """A bench with a generator that counts for ever, and what is known of it."""

    def __init__(self, peer=None, **options):
        self.made = []
        self.closed = threading.Event()

        @tool
        def count(first=0):
            number = first
            try:
                while True:
                    self.made.append(number)
                    yield number
                    number += 1
            finally:
                self.closed.set()

        self.bench = Bench(count, peer=peer, **options)


def test_items_come_in_order_and_the_answer_is_what_the_generator_returns():
    @tool
    def count(to):
        yield from range(to)
        return "returned"

    bench = Bench(count)
    key = bench.stream("count", 3)
    assert bench.result(key) == "returned"
    assert bench.peer.events == [
        ("item", key, 0), ("item", key, 1), ("item", key, 2), ("result", key, "returned"),
    ]  # fmt: skip


def test_a_stream_without_items_has_an_answer():
    @tool
    def nothing():
        yield from ()

    bench = Bench(nothing)
    key = bench.stream("nothing")
    assert bench.result(key) is None
    assert bench.peer.of("item", key) == []


@pytest.mark.parametrize("value", [[1, 2], (1, 2), {1: "a", 2: "b"}, range(1, 3)])
def test_whatever_can_be_iterated_is_streamed_when_the_tool_says_so(value):
    @tool(stream=True)
    def give():
        return value

    bench = Bench(give)
    key = bench.stream("give")
    assert bench.result(key) is None
    assert bench.peer.of("item", key) == [1, 2]


def test_a_streaming_tool_that_returns_no_iterable_fails():
    bench = Bench(tool(name="give", stream=True)(lambda: 3))
    error = bench.error(bench.stream("give"))
    assert (error.code, error.type) == ("internal", "builtins.TypeError")


def test_an_ordinary_tool_may_be_called_as_a_stream_and_sends_no_items():
    bench = Bench(tool(name="give")(lambda: [1, 2]))
    key = bench.stream("give")
    assert bench.result(key) == [1, 2]
    assert bench.peer.of("item", key) == []


def test_an_exception_after_some_items_ends_the_stream():
    @tool
    def breaks():
        yield 1
        raise ValueError("as expected")

    bench = Bench(breaks)
    key = bench.stream("breaks")
    error = bench.error(key)
    assert (error.type, error.message) == ("builtins.ValueError", "as expected")
    assert next(line for line in error.traceback if line.startswith("  File ")).endswith(
        "in breaks"
    )
    assert bench.peer.of("item", key) == [1]


def test_a_generator_is_paused_while_the_peer_takes_nothing():
    subject = Counting(RecordingPeer(credit=0))
    bench, peer = subject.bench, subject.bench.peer
    key = bench.stream("count")
    peer.grant(1)
    wait_until(lambda: len(peer.of("item", key)) == 1, "items")
    peer.grant(2)
    wait_until(lambda: len(peer.of("item", key)) == 3, "items")
    assert subject.made == [0, 1, 2], "nothing is made before it can be sent"
    assert bench.dispatcher.cancel(key)
    passed(subject.closed)
    assert peer.of("item", key) == subject.made == [0, 1, 2]


@pytest.mark.parametrize("credit", [0, 2, None])
def test_a_cancel_closes_the_generator_and_at_most_the_item_in_hand_follows(credit):
    """The dispatcher looks before it sends; that one item is for the transport to refuse."""
    subject = Counting(RecordingPeer(credit))
    bench, peer = subject.bench, subject.bench.peer
    key = bench.stream("count")
    wait_until(lambda: len(peer.of("item", key)) >= (2 if credit is None else credit), "items")
    assert bench.dispatcher.cancel(key)
    bench.settle()
    assert subject.closed.is_set() or subject.made == []
    assert [event[0] for event in peer.events].index("error") >= len(peer.events) - 2
    assert len(peer.answers(key)) == 1


def test_a_deadline_ends_a_paused_stream():
    subject = Counting(RecordingPeer(credit=0))
    key = subject.bench.stream("count", timeout_s=0.02)
    assert subject.bench.error(key).code == "deadline_exceeded"
    subject.bench.settle()
    assert subject.made == []


def test_an_item_that_cannot_be_encoded_ends_the_stream_and_closes_the_generator():
    closed = threading.Event()

    @tool
    def mixed():
        try:
            yield 1
            yield Unencodable()
            yield 3
        finally:
            closed.set()

    bench = Bench(mixed)
    key = bench.stream("mixed")
    error = bench.error(key)
    assert (error.code, error.type) == ("internal", "bridge.errors.EncodeError")
    assert error.message.startswith("mixed: ")
    assert closed.is_set(), "the generator is closed before the answer"
    assert bench.peer.of("item", key) == [1]


def test_a_return_value_that_cannot_be_encoded_is_an_error():
    @tool
    def returns():
        yield 1
        return Unencodable()

    bench = Bench(returns)
    key = bench.stream("returns")
    assert bench.error(key).type == "bridge.errors.EncodeError"
    bench.settle()
    assert len(bench.peer.answers(key)) == 1


def test_the_context_is_there_in_every_part_of_a_generator():
    seen = []

    @tool
    def look(ctx: Context):
        try:
            seen.append(current_context().id)
            yield 1
            seen.append(current_context().id)
            yield 2
        finally:
            seen.append(current_context().id)

    bench = Bench(look, peer=RecordingPeer(credit=1))
    key = bench.stream("look")
    wait_until(lambda: bench.peer.of("item", key) == [1])
    bench.peer.grant(1)
    wait_until(lambda: bench.peer.of("item", key) == [1, 2])
    bench.dispatcher.cancel(key)
    bench.settle()
    assert seen == [key] * 3


def test_an_iterator_without_close_can_be_cancelled():
    class Endless:
        def __iter__(self):
            return self

        def __next__(self):
            return 1

    bench = Bench(tool(name="endless", stream=True)(Endless))
    key = bench.stream("endless")
    wait_until(lambda: bench.peer.of("item", key) != [])
    assert bench.dispatcher.cancel(key)
    bench.settle()
    assert [answer.code for answer in bench.peer.answers(key)] == ["cancelled"]


def test_a_tool_that_is_cancelled_before_its_first_item_opens_no_stream():
    """By then another call may have its key, whose stream it must not touch."""
    started, leave, opened = threading.Event(), threading.Event(), []

    class Watching(RecordingPeer):
        def open_stream(self, call):
            opened.append(call.key)
            return super().open_stream(call)

    @tool(stream=True)
    def slow_to_begin():
        started.set()
        passed(leave)
        return [1]

    bench = Bench(slow_to_begin, peer=Watching())
    key = bench.stream("slow_to_begin")
    passed(started)
    bench.dispatcher.cancel(key)
    leave.set()
    bench.settle()
    assert opened == []


def test_streams_occupy_their_workers_while_they_are_paused():
    subject = Counting(RecordingPeer(credit=0), max_workers=1, max_queue=0)
    bench = subject.bench
    key = bench.stream("count")
    wait_until(lambda: bench.dispatcher.health()["busy"] == 1)
    assert bench.error(bench.stream("count")).code == "resource_exhausted"
    bench.dispatcher.cancel(key)
    assert bench.dispatcher.wait_until_idle(WAIT_S)
