"""The order of what is sent on a stream, and the interleavings that ``sender.py`` numbers."""

import threading

import pytest

pytest.importorskip("grpc")

from bridge.errors import CallError
from bridge.transports.grpc import sender as module
from bridge.transports.grpc.sender import Drops, Sender
from tests.waiting import in_thread, join, passed, wait_until

from .grpc_requests import ScriptedLock


class Stream:
    """A sender, what it has sent, and a client that reads while ``reads`` is set."""

    def __init__(self, max_bytes=100):
        self.sent, self.drops, self.steps = [], Drops(), {}
        self.reads, self.blocked = threading.Event(), threading.Event()
        self.reads.set()
        self.sender = Sender(self.send, max_bytes, self.drops)

    def send(self, message):
        self.sent.append(message)
        self.steps.pop(message, lambda: None)()
        if not self.reads.is_set():
            self.blocked.set()
            passed(self.reads)


def test_notes_come_before_what_was_sent_after_them():
    stream = Stream()
    with stream.sender._sending:  # as if something were being sent
        stream.sender.note(b"n1")
        stream.sender.note(b"n2")
    stream.sender.send(b"item")
    stream.sender.end(b"last")
    assert stream.sent == [b"n1", b"n2", b"item", b"last", None]


def test_a_note_is_sent_although_nothing_else_is():
    stream = Stream()
    stream.sender.note(b"n")
    wait_until(lambda: stream.sent == [b"n"])


def test_no_message_is_no_note():
    stream = Stream()
    stream.sender.note(None)
    stream.sender.end()
    assert stream.sent == [None]


def test_a_client_that_does_not_read_loses_notes_and_the_tool_no_time():
    stream = Stream()
    stream.reads.clear()
    item = in_thread(stream.sender.send, b"item")
    passed(stream.blocked)
    for n in range(100):
        stream.sender.note(b"%d" % n)
    assert stream.drops.count == 100 - 64
    stream.reads.set()
    join(item)
    wait_until(lambda: stream.sent == [b"item", *(b"%d" % n for n in range(64))])


def test_two_messages_are_not_sent_at_once():
    stream = Stream()
    stream.sender._sending = lock = ScriptedLock()
    stream.reads.clear()
    first = in_thread(stream.sender.send, b"1")
    passed(stream.blocked)
    second = in_thread(stream.sender.send, b"2")
    passed(lock.contended)
    assert stream.sent == [b"1"]
    stream.reads.set()
    join(first, second)
    assert stream.sent == [b"1", b"2"]


@pytest.mark.parametrize("method", ["send", "end"])
def test_what_is_too_large_is_not_sent(method):
    stream = Stream(max_bytes=4)
    with pytest.raises(CallError, match="--max-message-bytes") as caught:
        getattr(stream.sender, method)(b"12345")
    assert (caught.value.code, caught.value.started) == ("resource_exhausted", True)
    assert stream.sent == []
    stream.sender.send(b"1234")
    assert stream.sent == [b"1234"]


def test_without_a_thread_for_it_a_note_goes_with_the_next_message(monkeypatch):
    class Threading:
        @staticmethod
        def Thread(**_):
            return Threading

        @staticmethod
        def start():
            raise RuntimeError("can't start new thread")

    stream = Stream()
    with monkeypatch.context() as patch:
        patch.setattr(module, "threading", Threading)
        stream.sender.note(b"n")
    assert stream.sent == []
    stream.sender.send(b"item")
    assert stream.sent == [b"n", b"item"]
    stream.sender.note(b"later")  # by a thread, which can be had again
    wait_until(lambda: stream.sent[2:] == [b"later"])


# -- 1: a note comes as the thread looks for the last time ----------------------------------------


def test_a_note_that_comes_as_the_last_one_was_sent_is_not_forgotten():
    stream = Stream()

    class NoteComes(ScriptedLock):
        came = False

        def release(self):
            if not self.came:
                self.came = True
                stream.sender.note(b"2")
            super().release()

    stream.sender._noting = NoteComes()
    stream.sender.note(b"1")
    wait_until(lambda: stream.sent == [b"1", b"2"])


# -- 2: a note comes while the stream ends --------------------------------------------------------


@pytest.mark.parametrize("during", [b"last", None])
def test_nothing_follows_the_last_message(during):
    stream, ending = Stream(), threading.current_thread()

    class GivesWay(ScriptedLock):
        def release(self):
            super().release()
            if threading.current_thread() is ending:
                wait_until(lambda: stream.drops.count or b"late" in stream.sent)

    stream.sender._sending = GivesWay()
    stream.steps[during] = lambda: stream.sender.note(b"late")
    stream.sender.end(b"last")
    stream.sender.note(b"later")
    assert stream.sent == [b"last", None]
    assert stream.drops.count == 2
