"""``MainQueue``: the interleavings that its file numbers, forced."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bridge.process.main_queue import MainQueue
from tests.waiting import in_thread, join, passed


class Stopped(MainQueue):
    """Calls ``found`` when ``take`` has found something, and has not said that it is busy."""

    def __init__(self, hurry: Any, found: Any) -> None:
        super().__init__(hurry)
        queue = self._queue

        class Queue:
            put = queue.put

            def get(self, timeout: float) -> Any:
                result = queue.get(timeout=timeout)
                found()
                return result

        self._queue = Queue()  # type: ignore[assignment]


@pytest.mark.parametrize("tell", [lambda queue: queue.end("peer gone"), MainQueue.wake])
def test_an_end_that_comes_as_something_begins_to_run_is_hurried(tell: Any) -> None:
    hurried: list[str] = []
    queue = Stopped(lambda: hurried.append("once"), lambda: tell(queue))
    queue.post(lambda: hurried.append("it runs"))
    assert queue.take(1) is None
    assert hurried == ["once", "it runs"]


def test_a_signal_whose_handler_does_not_run_is_hurried() -> None:
    hurried, runs, leave = threading.Event(), threading.Event(), threading.Event()
    queue = MainQueue(hurried.set)
    queue.post(lambda: (runs.set(), passed(leave)))
    main = in_thread(queue.take, 20)
    passed(runs)
    queue.wake()
    passed(hurried)
    leave.set()
    join(main)


def test_a_main_thread_that_waits_is_woken_so_that_the_handler_runs() -> None:
    queue = MainQueue(lambda: None)
    main = in_thread(queue.take, 3600)
    queue.wake()
    join(main)


def test_a_handler_leaves_the_hurry_to_another_thread() -> None:
    hurried: list[bool] = []
    queue = MainQueue(lambda: hurried.append(True))

    def interrupted() -> None:
        queue.note("sigterm")
        assert not hurried
        join(in_thread(queue.wake))
        assert hurried == [True]
        queue.wake()

    queue.post(interrupted)
    assert queue.take(1) is None
    assert hurried == [True]
    assert [queue.take(1) for _ in range(3)] == ["sigterm", None, None]
