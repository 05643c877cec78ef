"""The one event loop that runs ``async def`` tools, and hooks of the adapter that are asynchronous.

The loop starts with the first of them; ``asyncio`` is not imported before. ``AsyncCalls`` runs calls
as its tasks; what a worker waits for (a tool whose function is asynchronous only at second glance,
hooks) comes by ``run``.

It has a thread of its own, or is *driven*: where one thread runs all tools, that one runs the loop
as well, whenever it waits, for work or for a coroutine.

The interleavings of a driven loop, with its number where it is harmless and why (and its test):

1. Something is put into a queue just after its thread has found it empty, and before the loop
   runs. Whoever puts stops the loop after that: one that is not running yet stops when it begins,
   and its thread looks again. (``test_what_comes_as_the_loop_begins_to_run_is_not_missed``)
2. The same while there is no loop yet. Only the thread that drives it makes it, and looks into the
   queue afterwards; whoever puts looks for a loop afterwards.
   (``test_what_comes_while_the_loop_is_made_is_not_missed``)
"""

from __future__ import annotations

import sys
import threading

from ..errors import PoolFull
from ..threads import Empty, SimpleQueue, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
    from contextvars import Context as Variables
    from typing import Any

    OnInterrupt = Callable[[Callable[[], object]], None]


class EventLoop:
    """Runs coroutines to their end for threads that wait for them.

    Each takes the caller's ``contextvars``. An interrupted call cancels its task; the worker
    waits until the task has really ended, so that a task which refuses still counts as running.

    Args:
        driven: whether there is no thread for it, but the one that calls, always the same, runs it.
    """

    def __init__(self, driven: bool = False) -> None:
        self.driven = driven
        #: None as long as nobody has needed one.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        #: What came before there was a loop. Then its thread is starting.
        self._pending: list[Callable[[], object]] = []

    def post(self, function: Callable[[], object]) -> None:
        """Run a function on the loop's thread, soon, and after those that were posted before.

        Any thread; never blocks. A driven loop must have been made.

        Raises:
            PoolFull: no thread can be started for the loop.
        """
        loop = self.loop
        if loop is not None:
            loop.call_soon_threadsafe(function)
            return
        with self._lock:
            if self.loop is not None:
                self.loop.call_soon_threadsafe(function)
                return
            self._pending.append(function)
            if len(self._pending) > 1:
                return
            if not start_thread(
                threading.Thread(target=self._live, name="bridge-event-loop", daemon=True)
            ):
                self._pending.clear()
                raise PoolFull(
                    "no thread can be started for the event loop of async tools: the process may "
                    "have no more (ulimit -u, the container's limit of pids, memory)",
                    started=False,
                )

    def _live(self) -> None:
        import asyncio  # here: whoever posts shall not wait for it

        loop = asyncio.new_event_loop()
        with self._lock:
            while self._pending:
                # without a name, which would keep the last one as long as this thread lives
                loop.call_soon(self._pending.pop(0))
            self.loop = loop
        while not loop.is_closed():
            _run_until_stopped(loop)

    def new_queue(self) -> SimpleQueue[Any]:
        """A queue. The thread that drives the loop runs it while it waits for an item."""
        return _DrivingQueue(self) if self.driven else SimpleQueue()  # type: ignore[return-value]

    def call(self, function: Callable[[], Any]) -> Any:
        """Run an ordinary function on the loop's thread. Returns or raises what it does."""

        async def work() -> Any:
            return function()

        return self.run(work(), lambda cancel: None)

    def close(self) -> None:
        """Close a driven loop, on the thread that has run it, which ends."""
        with self._lock:
            loop, self.loop = self.loop, None
        if loop is not None:
            loop.close()

    def run(
        self,
        coroutine: Coroutine[Any, Any, Any],
        on_interrupt: OnInterrupt,
        variables: Variables | None = None,
    ) -> Any:
        """The coroutine's result, or its exception. Blocks a worker, never the loop.

        Args:
            coroutine: whatever can be awaited.
            on_interrupt: is given what cancels it.
            variables: in which it runs, and which it may change; default: a copy of the caller's.
        """
        ended = self.new_queue()
        result = None
        try:
            self.get()
        except BaseException:
            getattr(coroutine, "close", _nothing)()
            raise

        async def work() -> None:
            nonlocal result
            result = await coroutine

        self._start(work(), ended.put, on_interrupt, variables)
        try:
            _raise(ended.get())
        finally:
            # one that was cancelled before its first step would complain that nobody awaited it
            getattr(coroutine, "close", _nothing)()
        return result

    def iterate(self, items: AsyncGenerator[Any, Any], on_interrupt: OnInterrupt) -> Iterator[Any]:
        """The items of an async generator, which is paused while the worker has one in hand.

        It runs in one task from beginning to end, because timeouts and cancel scopes inside it
        belong to a task. Closing the iterator cancels that task.
        """
        channel = self.new_queue()
        loop = self.get()

        async def advance() -> None:
            try:
                async for item in items:
                    resume = loop.create_future()
                    channel.put((item, resume))
                    await resume
            finally:
                await items.aclose()

        def end(task: asyncio.Task[BaseException | None]) -> None:
            channel.put((task, None))

        cancel = self._start(advance(), end, on_interrupt)
        item, resume = channel.get()
        try:
            while resume is not None:
                yield item
                loop.call_soon_threadsafe(_resume, resume)
                item, resume = channel.get()
        except GeneratorExit:
            cancel()
            while resume is not None:
                item, resume = channel.get()
            return
        last = [item]
        del item  # an exception in it will have this frame in its traceback
        _raise(last.pop())

    def _start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        ended: Callable[[asyncio.Task[BaseException | None]], object],
        on_interrupt: OnInterrupt,
        variables: Variables | None = None,
    ) -> Callable[[], object]:
        """Begin the task; returns what cancels it, from any thread."""
        loop = self.get()
        task: asyncio.Task[BaseException | None] | None = None

        async def guard() -> BaseException | None:
            # as a task's result: SystemExit and KeyboardInterrupt would end the loop
            try:
                await coroutine
            except BaseException as error:
                return error
            return None

        def forget(_: object) -> None:
            nonlocal task
            task = None  # the call keeps cancel(), and the task what it ended with

        def begin() -> None:
            nonlocal task
            task = loop.create_task(guard(), context=variables)
            task.add_done_callback(forget)
            task.add_done_callback(ended)
            task.add_done_callback(lambda _: coroutine.close())

        def cancel() -> None:
            # queued behind begin(), so there is a task by then
            loop.call_soon_threadsafe(lambda: task and task.cancel())

        loop.call_soon_threadsafe(begin)
        on_interrupt(cancel)
        return cancel

    def get(self) -> asyncio.AbstractEventLoop:
        """The loop. If there is none yet the calling thread waits for it, or makes it to drive it.

        Raises:
            PoolFull: no thread can be started for it.
        """
        if self.loop is None:
            if self.driven:
                import asyncio

                self.loop = asyncio.new_event_loop()  # (2)
            else:
                ready: SimpleQueue[None] = SimpleQueue()
                self.post(lambda: ready.put(None))
                ready.get()
        assert self.loop is not None
        return self.loop


class _DrivingQueue:
    """A queue like ``SimpleQueue``, whose reader drives the event loop while nothing is in it."""

    __slots__ = ("_events", "_items")

    def __init__(self, events: EventLoop) -> None:
        self._events = events
        self._items: SimpleQueue[Any] = SimpleQueue()

    def put(self, item: Any) -> None:
        self._items.put(item)  # (1), (2) first this, then the look for a loop
        loop = self._events.loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def get(self) -> Any:
        while True:
            loop = self._events.loop
            if loop is None or loop.is_running():
                # (2) whoever makes a loop is this thread; at the end of the process another one
                # may have to run it
                return self._items.get()
            try:
                return self._items.get_nowait()
            except Empty:
                _run_until_stopped(loop)  # (1)


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    except BaseException as error:
        # a callback or a task of somebody's own has raised SystemExit: the loop is for all
        sys.excepthook(type(error), error, error.__traceback__)


def _raise(task: asyncio.Task[BaseException | None]) -> None:
    error = task.result()
    if error is None:
        return
    try:
        raise error
    finally:
        del error, task  # its traceback has this frame


def _nothing() -> None:
    """What is awaitable need not have a ``close()``."""


def _resume(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
