"""The loop that is driven by the thread that waits: nothing that comes is missed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from bridge.calls.event_loop import EventLoop
from tests.waiting import in_thread, join, passed


def nobody(cancel: object) -> None:
    """Interrupts nothing."""


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_the_calling_thread_runs_a_driven_loop() -> None:
    events = EventLoop(driven=True)

    async def thread() -> int:
        return threading.get_ident()

    assert events.run(thread(), nobody) == threading.get_ident()
    assert events.run(answer(), nobody) == 42
    events.close()


def test_a_driven_loop_goes_on_while_its_thread_waits_for_something_else() -> None:
    events = EventLoop(driven=True)
    queue = events.new_queue()

    async def background() -> None:
        await asyncio.sleep(0.001)
        queue.put("from the loop")

    async def begin() -> object:
        return asyncio.ensure_future(background())

    task = events.run(begin(), nobody)
    assert queue.get() == "from the loop"
    assert task is not None
    events.close()


class Driver:
    """A thread that makes a loop and then waits for an item, driving it."""

    def __init__(self) -> None:
        self.events = EventLoop(driven=True)
        self.queue: Any = self.events.new_queue()
        self.make, self.made = threading.Event(), threading.Event()
        #: Called on the thread when it is about to run the loop for want of an item.
        self.before_it_runs: Callable[[], object] = lambda: None
        self._got: list[Any] = []
        self._thread = in_thread(self._drive)

    def _drive(self) -> None:
        passed(self.make)
        assert self.events.run(answer(), nobody) == 42
        loop: Any = self.events.loop
        run_forever = loop.run_forever

        def run() -> None:
            self.before_it_runs()
            run_forever()

        loop.run_forever = run
        self.made.set()
        self._got.append(self.queue.get())
        self.events.close()

    def got(self) -> Any:
        join(self._thread)
        return self._got[0]


def test_what_comes_as_the_loop_begins_to_run_is_not_missed() -> None:
    driver = Driver()

    def put() -> None:
        driver.before_it_runs = lambda: None
        join(in_thread(driver.queue.put, "just now"))

    driver.before_it_runs = put
    driver.make.set()
    assert driver.got() == "just now"


def test_what_comes_while_the_loop_is_made_is_not_missed() -> None:
    driver = Driver()
    runs = threading.Event()
    driver.before_it_runs = runs.set
    items = driver.queue._items

    class Items:
        """Before one is in it, the loop is made and runs."""

        get, get_nowait = items.get, items.get_nowait

        def put(self, item: object) -> None:
            driver.make.set()
            passed(runs)
            items.put(item)

    driver.queue._items = Items()
    driver.queue.put("in between")
    assert driver.got() == "in between"


def test_a_task_that_exits_does_not_end_the_loop() -> None:
    events = EventLoop()

    async def leave() -> None:
        raise SystemExit(3)

    async def begin() -> object:
        return asyncio.ensure_future(leave())

    task = events.run(begin(), nobody)
    assert events.run(answer(), nobody) == 42
    assert isinstance(task.exception(), SystemExit)


def test_what_was_posted_before_there_was_a_loop_is_not_kept() -> None:
    """It has the arguments of a call, and these may hold a place in shared memory."""
    events = EventLoop(driven=False)
    gone = threading.Event()

    class Large:
        def __del__(self) -> None:
            gone.set()

    def post(large: Large) -> None:
        events.post(lambda: large)

    post(Large())
    passed(gone)
