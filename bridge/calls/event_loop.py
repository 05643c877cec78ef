"""The one event-loop thread that runs ``async def`` tools.

The call keeps its worker, which waits here: so async tools count against the same capacity as
all others. The loop starts with the first of them; ``asyncio`` is not imported before.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

from ..errors import PoolFull
from ..threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
    from typing import Any

    OnInterrupt = Callable[[Callable[[], object]], None]


class EventLoop:
    """Runs coroutines to their end for threads that wait for them.

    Each takes the caller's ``contextvars``. An interrupted call cancels its task; the worker
    waits until the task has really ended, so that a task which refuses still counts as running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], on_interrupt: OnInterrupt) -> Any:
        """The coroutine's result, or its exception. Blocks a worker, never the loop."""
        ended: SimpleQueue[asyncio.Task[BaseException | None]] = SimpleQueue()
        result = None
        try:
            self._get()
        except BaseException:
            getattr(coroutine, "close", _nothing)()
            raise

        async def work() -> None:
            nonlocal result
            result = await coroutine

        self._start(work(), ended.put, on_interrupt)
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
        channel: SimpleQueue[Any] = SimpleQueue()
        loop = self._get()

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
        _raise(item)

    def _start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        ended: Callable[[asyncio.Task[BaseException | None]], object],
        on_interrupt: OnInterrupt,
    ) -> Callable[[], object]:
        """Begin the task; returns what cancels it, from any thread."""
        loop = self._get()
        task: asyncio.Task[BaseException | None] | None = None

        async def guard() -> BaseException | None:
            # as a task's result: SystemExit and KeyboardInterrupt would end the loop
            try:
                await coroutine
            except BaseException as error:
                return error
            return None

        def begin() -> None:
            nonlocal task
            task = loop.create_task(guard())
            task.add_done_callback(ended)
            task.add_done_callback(lambda _: coroutine.close())

        def cancel() -> None:
            # queued behind begin(), so there is a task by then
            loop.call_soon_threadsafe(lambda: task and task.cancel())

        loop.call_soon_threadsafe(begin)
        on_interrupt(cancel)
        return cancel

    def _get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                import asyncio

                loop = asyncio.new_event_loop()
                if not start_thread(
                    threading.Thread(target=loop.run_forever, name="bridge-event-loop", daemon=True)
                ):
                    loop.close()
                    raise PoolFull(
                        "no thread can be started for the event loop of async tools: the process "
                        "may have no more (ulimit -u, the container's limit of pids, memory)"
                    )
                self._loop = loop
            return self._loop


def _raise(task: asyncio.Task[BaseException | None]) -> None:
    error = task.result()
    if error is not None:
        raise error


def _nothing() -> None:
    """What is awaitable need not have a ``close()``."""


def _resume(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
