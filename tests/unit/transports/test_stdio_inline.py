"""Quick calls on the thread that reads, while every worker is busy."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from bridge import tool
from bridge.adapter import bind_tools
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.inline import watchdog
from bridge.calls.latency import QUICK, LatencyGate
from bridge.calls.pool import Pool
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.channel import Channel
from bridge.transports.stdio.peer import StdioPeer
from bridge.transports.stdio.reader import StdioReader
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.connection import Connection
from bridge.wire.framing import FrameDecoder
from tests.waiting import WAIT_S, passed, wait_until

WORKERS = 2


class AlwaysQuick(LatencyGate):
    def __init__(self) -> None:
        super().__init__()
        self.state = QUICK

    def note(self, seconds: float) -> None:
        """Takes nothing amiss."""

    slow = never = lambda self: None


class Tools:
    def __init__(self) -> None:
        self.blocked = threading.Semaphore(0)
        self.unblock, self.return_late = threading.Event(), threading.Event()

    @tool
    def block(self) -> None:
        self.blocked.release()
        passed(self.unblock)

    @tool
    def late(self) -> str:
        passed(self.return_late)
        return threading.current_thread().name

    @tool
    def where(self) -> str:
        return threading.current_thread().name


class StandingBy(threading.Event):
    """Lets the late call return when the leader begins to wait for its thread, if it may."""

    def __init__(self, tools: Tools, lets_return: bool) -> None:
        super().__init__()
        self._tools, self._lets_return = tools, lets_return
        self.asked = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.set()
        if self._lets_return:
            self._tools.return_late.set()
        return super().wait(timeout)


class Served:
    """A bridge in this process whose workers are busy, and whose tool ``late`` runs on its reader."""

    def __init__(self, lets_return: bool) -> None:
        self.tools = Tools()
        source, self._to_bridge = os.pipe()
        self._from_bridge, sink = os.pipe()
        channel = Channel(sink, Connection(1 << 20), lambda: None)
        self.dispatcher = Dispatcher(bind_tools(self.tools), Pool(WORKERS, 8, channel.writer))
        for name in ("late", "where"):
            self.dispatcher.tools[name].latency = AlwaysQuick()
        self._gone = threading.Event()
        self._reader = StdioReader(
            source,
            channel,
            StdioPeer(channel),
            self.dispatcher,
            gone=self._gone.set,
            shutdown=lambda: None,
            inline=True,
        )
        self._descriptors = (self._from_bridge, sink)
        self._frames = FrameDecoder(1 << 20)
        self.watchdog = self._reader._watchdog
        self.signal = self.watchdog._standing_by = StandingBy(self.tools, lets_return)
        self._reader.start()
        wait_until(lambda: self.watchdog.watched, "the second thread")
        for number in range(WORKERS):
            self.request(number, "block")
        for _ in range(WORKERS):
            assert self.tools.blocked.acquire(timeout=WAIT_S)
        self.request(10, "late")
        wait_until(lambda: self.watchdog.term == 2, "the other thread to read on")

    def request(self, msgid: int, name: str) -> None:
        os.write(self._to_bridge, frame(Encoder().request(msgid, name, [])))

    def answers(self, count: int) -> dict[int, object]:
        """The results of the next calls that end, by their ids."""
        results: dict[int, object] = {}
        while len(results) < count:
            size = os.readv(self._from_bridge, [self._frames.get_buffer()])
            for data in self._frames.buffer_updated(size):
                message = decode_message(bytes(data))
                results[message.msgid] = message.result
        return results

    def close(self) -> None:
        self.tools.unblock.set()
        self.tools.return_late.set()
        os.close(self._to_bridge)
        passed(self._gone)
        assert self.dispatcher.wait_until_idle(WAIT_S)
        self._reader.close()
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture
def patience_s() -> float:
    return WAIT_S


@pytest.fixture
def served(monkeypatch, patience_s: float, request) -> Iterator[Served]:
    monkeypatch.setattr(watchdog, "PATIENCE_S", patience_s)
    subject = Served(lets_return=patience_s > 0.0)
    yield subject
    subject.close()


def test_a_quick_call_waits_for_a_late_thread_rather_than_for_a_worker(served):
    served.request(11, "where")
    passed(served.signal.asked)
    assert served.answers(2) == {10: "bridge-reader-1", 11: "bridge-reader-2"}


@pytest.mark.parametrize("patience_s", [0.0])
def test_it_waits_for_a_worker_after_all_if_the_thread_hangs(served):
    served.request(11, "where")
    wait_until(lambda: served.dispatcher.pool.queued == 1, "the call to be queued")
    assert served.signal.asked.is_set()
    served.tools.unblock.set()
    assert served.answers(WORKERS + 1).keys() == {0, 1, 11}
