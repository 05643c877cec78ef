"""``setup_worker()`` and ``close_worker()``: on which threads they run, and what their faults are."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any
from unittest.mock import Mock

from bridge import ThreadSafeAdapter, tool
from bridge.calls import Worker
from bridge.calls.inline import InlineRunner, Watchdog
from bridge.wire import Request
from tests.waiting import in_thread, join, passed

from .served import Served, thread


class Workers(ThreadSafeAdapter):
    """Counts the threads that begin and end, and lets calls meet."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.local = threading.local()
        self.meeting = threading.Barrier(3)

    def setup_worker(self) -> None:
        self.begun.append(thread())
        self.local.ready = True

    def close_worker(self) -> None:
        assert self.local.ready
        self.ended.append(thread())

    @tool
    def meet(self) -> bool:
        self.meeting.wait(20)
        return self.local.ready

    @tool
    async def waits(self) -> bool:
        return self.local.ready


def test_each_thread_that_runs_tools_begins_and_ends_once(serve: Any) -> None:
    served = serve(Workers, 3)
    assert len(served.target.begun) == 1  # where a fault is seen before anything is served
    keys = [101, 102, 103]
    for key in keys:
        served.dispatcher.dispatch(Request(key, "meet", []), served.peer)
    assert [served.peer.answer(key) for key in keys] == [True] * 3
    assert served.call("waits") is True
    served.close()
    assert len(set(served.target.begun)) == len(served.target.begun) == 4  # and the event loop's
    assert sorted(served.target.ended) == sorted(served.target.begun)


def test_a_worker_whose_place_was_given_away_ends_and_the_new_one_begins(serve: Any) -> None:
    begun, gate = threading.Event(), threading.Event()

    class Relieved(Workers):
        @tool
        def hang(self) -> int:
            begun.set()
            gate.wait(20)
            return thread()

    served = serve(Relieved, 2)
    served.dispatcher.dispatch(Request(99, "hang", []), served.peer)
    passed(begun)
    (worker,) = [each for each in served.pool.workers if each.job]
    old = worker.thread
    assert served.pool.relieve(worker)
    gate.set()
    join(old)
    assert served.peer.answer(99) in served.target.ended
    served.close()
    assert sorted(served.target.ended) == sorted(served.target.begun)


class Fails(Workers):
    """``setup_worker()`` fails as long as a test wants."""

    fails = False
    begins: Any = None

    def setup_worker(self) -> None:
        if self.begins is not None:
            self.begins()
        if self.fails:
            raise OSError("no licence left")
        super().setup_worker()

    @tool
    def add(self, a: int, b: int) -> int:
        return a + b


def test_a_thread_that_cannot_be_set_up_answers_its_calls_and_tries_again(serve: Any) -> None:
    served = serve(Fails, 3)
    worker = Worker("a worker that begins")

    def run(key: int, fails: bool) -> None:
        served.target.fails = fails
        request = Request(key, "add", [1, 2])
        call = served.dispatcher.admit(request, served.peer, time.monotonic())
        served.dispatcher.run_here(call, worker, time.monotonic())

    join(in_thread(lambda: [run(101, True), run(102, False)]))
    error = served.peer.answer(101)
    assert "setup_worker() failed on the thread of this call: no licence left" in error.message
    assert (error.type, error.started) == ("builtins.OSError", False)
    assert served.peer.answer(102) == 3


def test_a_log_that_fails_as_well_takes_no_answer(serve: Any) -> None:
    """A filter, or a handler of the adapter's, may raise: the call has been claimed by then."""
    served = serve(Fails, 2)
    served.target.fails = True
    log = logging.getLogger("bridge")
    refuse = Mock(side_effect=OSError("no disk left"), spec=["__call__"])
    log.addFilter(refuse)
    try:
        request = Request(101, "add", [1, 2])
        call = served.dispatcher.admit(request, served.peer, time.monotonic())
        worker = Worker("a worker that begins")
        join(in_thread(served.dispatcher.run_here, call, worker, time.monotonic()))
    finally:
        log.removeFilter(refuse)
    assert refuse.called
    assert served.peer.answer(101).code == "internal"


def run_inline(served: Served, watchdog: Watchdog, *keys: int) -> tuple[threading.Thread, Any]:
    runner = InlineRunner(served.dispatcher, served.peer, "test-reader")
    add = served.dispatcher.tools["add"]
    batch = deque([(Request(key, "add", [key, 1]), add) for key in keys])
    return in_thread(runner.run, batch, watchdog, 1), batch


def test_a_reader_that_cannot_be_set_up_leaves_its_calls_to_the_workers(serve: Any) -> None:
    served = serve(Fails, 2)
    served.target.begins = lambda: setattr(
        served.target, "fails", threading.current_thread() not in workers(served)
    )
    reader, _ = run_inline(served, Watchdog(lambda term, number: None, "test"), 1, 2)
    join(reader)
    assert [served.peer.answer(key) for key in (1, 2)] == [2, 3]


def workers(served: Served) -> list[threading.Thread | None]:
    return [worker.thread for worker in served.pool.workers]


def test_a_reader_that_loses_the_role_while_it_is_set_up_runs_nothing(serve: Any) -> None:
    served = serve(Fails, 2)
    begun, gate = threading.Event(), threading.Event()
    served.target.begins = lambda: (begun.set(), passed(gate))
    watchdog = Watchdog(lambda term, number: None, "test")
    reader, batch = run_inline(served, watchdog, 1, 2)
    passed(begun)
    watchdog.term += 1  # as when the other thread takes over
    gate.set()
    join(reader)
    assert len(batch) == 2
    assert not served.peer.answers(1)
