"""The writer of a pipe, and its numbered interleavings."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from bridge.transports.stdio import writer as writer_module
from bridge.transports.stdio.writer import Writer
from bridge.wire.buffers import Parts
from bridge.wire.framing import HEADER_BYTES, FrameDecoder
from tests.scripted import ScriptedLock
from tests.waiting import in_thread, join, passed, wait_until

LARGE = b"x" * (1 << 20)


class Pipe:
    """A writer, and the end of its pipe where the test reads."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        self.closed: list[str] = []
        self.writer = Writer(self.sink, lambda: self.closed.append("closed"))
        self._frames = FrameDecoder(2 << 20)

    def read(self, count: int) -> list[bytes]:
        """The next frames."""
        frames: list[bytes] = []
        while len(frames) < count:
            size = os.readv(self.source, [self._frames.get_buffer()])
            frames += [bytes(frame) for frame in self._frames.buffer_updated(size)]
        return frames

    def close(self) -> None:
        for descriptor in (self.source, self.sink):
            try:
                os.close(descriptor)
            except OSError:
                pass  # the test did


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


class Scarce(bytearray):
    """A buffer that cannot grow by certain bytes."""

    def __iadd__(self, data):
        if data[:1] in (b"\xff", b"\0") and len(data) == Scarce.size:
            raise MemoryError
        return super().__iadd__(data)


@pytest.mark.parametrize("size", [5000, HEADER_BYTES], ids=["for the message", "for the header"])
def test_a_message_that_there_is_no_memory_to_copy_is_written_all_the_same(pipe, monkeypatch, size):
    monkeypatch.setattr(writer_module, "bytearray", Scarce, raising=False)
    monkeypatch.setattr(Scarce, "size", size, raising=False)
    messages = [b"a", b"\xff" * 5000, b"b", Parts(), b"c"]
    messages[3].add_large(b"\xff" * (1 << 17))
    for message in messages:
        pipe.writer.send(message)
    flushing = in_thread(pipe.writer.flush)
    assert pipe.read(len(messages)) == [bytes(message) for message in messages]
    join(flushing)


def test_what_is_queued_is_written_in_order_and_whole(pipe):
    messages = [b"a", b"", LARGE, b"b" * 5000, b"c"]
    for message in messages:
        pipe.writer.send(message)
    flushing = in_thread(pipe.writer.flush)
    assert pipe.read(len(messages)) == messages
    join(flushing)
    assert not pipe.writer.waits()
    assert pipe.writer.backlog == 0


def raw(pipe: Pipe) -> list[bytes]:
    """What has been written, as frames; a batch as it is."""
    data, frames = os.read(pipe.source, 1 << 20), []
    while data:
        size = HEADER_BYTES + int.from_bytes(data[:HEADER_BYTES], "big")
        frames.append(data[HEADER_BYTES:size])
        data = data[size:]
    return frames


def test_small_messages_travel_as_one_frame_to_a_peer_that_takes_batches(pipe):
    for message in (b"a", b"bc"):
        pipe.writer.send(message)
    pipe.writer.flush()
    assert raw(pipe) == [b"a", b"bc"]
    pipe.writer.batch()
    for message in (b"a", b"bc"):
        pipe.writer.send(message)
    pipe.writer.flush()
    assert raw(pipe) == [b"\xc1\0\0\0\1a\0\0\0\2bc"]
    pipe.writer.send(b"alone")
    pipe.writer.flush()
    assert raw(pipe) == [b"alone"]


def test_with_batches_nothing_is_lost_or_out_of_order(pipe, monkeypatch):
    monkeypatch.setattr(writer_module, "bytearray", Scarce, raising=False)
    monkeypatch.setattr(Scarce, "size", 5000, raising=False)
    pipe.writer.batch()
    messages = [bytes([number]) * (number * 700) for number in range(200)]
    messages[90] = messages[130] = LARGE
    for message in messages:
        pipe.writer.send(message)
    flushing = in_thread(pipe.writer.flush)
    assert pipe.read(len(messages)) == messages
    join(flushing)
    assert pipe.writer.backlog == 0


def test_a_message_that_comes_at_the_end_of_a_flush_is_written(pipe):
    """(1) Its own flush leaves it to the thread that has just written the last one."""
    writer = pipe.writer

    def late() -> None:
        writer.send(b"late")
        writer.flush()

    writer._writing = ScriptedLock(before_release=late)
    writer.send(b"first")
    writer.flush()
    assert not writer.waits()
    assert pipe.read(2) == [b"first", b"late"]


def test_to_wait_for_the_flush_is_to_wait_for_what_another_thread_writes(pipe):
    """(2) Nothing is queued, but the pipe is full, and a message half written."""
    writer, returned = pipe.writer, threading.Event()
    seen: list[bool] = []
    writer.send(LARGE)
    flushing = in_thread(writer.flush)
    wait_until(lambda: not writer.waits(), "the message to be taken")

    def wait() -> None:
        writer.flush_and_wait()
        seen.append(flushed.is_set())
        returned.set()

    flushed = threading.Event()
    lock = writer._writing
    writer._writing = Told(lock, flushed)
    waiting = in_thread(wait)
    wait_until(lambda: returned.is_set() or writer._writing.asked, "somebody to wait")
    (frame,) = pipe.read(1)
    join(flushing, waiting)
    assert frame == LARGE
    assert seen == [True]


class Told:
    """A lock that somebody holds: notes who comes for it, and that it was given back once."""

    def __init__(self, lock: threading.Lock, given_back: threading.Event) -> None:
        self._lock, self._given_back = lock, given_back
        self.asked = False

    def acquire(self, blocking: bool = True) -> bool:
        self.asked = True
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._given_back.set()
        self._lock.release()


def test_a_nudge_at_the_end_of_a_flush_is_not_lost(pipe):
    """(3) The writer's own thread has looked for the last time, and the nudge comes."""
    once = threading.Event()

    class Nudged(Writer):
        def flush(self) -> None:
            super().flush()
            if not once.is_set():
                once.set()
                self.send(b"late")
                self.nudge()

    writer = Nudged(pipe.sink, lambda: None)
    writer.send(b"first")
    writer.nudge()
    passed(once)
    wait_until(lambda: not writer.waits(), "the late message to be written")
    assert pipe.read(2) == [b"first", b"late"]


def test_a_peer_that_is_gone_is_told_once(pipe):
    """(4)"""
    os.close(pipe.source)
    for _ in range(3):
        pipe.writer.send(b"for nobody")
        pipe.writer.flush()
    assert pipe.closed == ["closed"]
    assert not pipe.writer.waits()


def test_a_frame_begins_with_its_length(pipe):
    pipe.writer.send(b"four")
    pipe.writer.flush()
    assert os.read(pipe.source, 100) == (4).to_bytes(HEADER_BYTES, "big") + b"four"


def test_nothing_follows_the_last_message(pipe):
    """(5) Not what is queued while it is written, and not what comes later."""
    writer = pipe.writer
    writer._writing = ScriptedLock(before_release=lambda: writer.send(b"late"))
    writer.send(b"before")
    writer.finish(b"last")
    writer.send(b"later")
    writer.flush()
    assert pipe.read(2) == [b"before", b"last"]
    assert not writer.waits()
    os.set_blocking(pipe.source, False)
    with pytest.raises(BlockingIOError):
        pipe.read(1)
