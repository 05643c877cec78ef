"""Calls of asynchronous tools: tasks of the event loop, which occupy no worker, up to a limit.

Guarantees:

- A call that was accepted and not discarded is started once, and answered; so is one whose task
  somebody else cancels before its first step.
- At most ``limit`` run, those included that nobody awaits any more; one that waits for that, or for
  the limit of its tool, occupies nothing.
- ``submit`` never blocks, and the loop never waits: not for a peer that does not read, nor for credit.

Assumes that functions given to the loop run in the order in which they were given. Any thread runs
``submit`` and ``discard``; ``_start``, ``_ended`` and what they call run on the loop's thread.

The interleavings, each with its number where it is harmless and why (and its test):

1. A call is answered by somebody else, a cancel for example, while it is on its way to the loop: no
   queue has it, so nobody can take it back. ``started`` is set before the look for an answer; it
   finds one, gives its turn back and does not begin.
   (``test_a_call_that_is_answered_on_its_way_to_the_loop_does_not_begin``)
2. A call gets its tool's turn while it is taken back, and then has to wait for the turn of all. It
   was in neither queue, stays in the second, and does as in 1 when its turn comes.
   (``test_a_call_that_is_taken_back_between_two_queues_gives_its_turns_back``)
3. The call ends while it is interrupted: its task is cancelled when it has ended, which has no
   effect. (``test_a_task_that_is_cancelled_when_it_has_ended_changes_nothing``)
4. The peer takes an item again just before a stream is watched for that, so nobody would tell of it.
   The loop has it watched first, and looks then.
   (``test_a_stream_waits_for_its_peer_without_a_thread_where_it_is_told``)
"""

from __future__ import annotations

import contextvars
import time
from collections import deque
from contextlib import suppress

from ..errors import EncodeError, PoolFull, ShuttingDown
from .call import Call
from .errand import run_on_worker
from .execution import execute
from .failures import unencodable
from .job import Worker
from .stats import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable
    from concurrent.futures import ThreadPoolExecutor
    from typing import Any

    from .interfaces import Sink
    from .pool import Pool
    from .served_tool import ServedTool


class AsyncCalls:
    """Runs calls on the event loop.

    Args:
        pool: whose threads, queue and output these calls share.
        limit: how many may run at once, at least 1.
    """

    def __init__(self, pool: Pool, limit: int) -> None:
        self.limit = limit
        #: Those whose task has begun and not ended. The loop's thread alone changes it.
        self.running: set[Call] = set()
        #: What the loop's thread has counted.
        self.account = Worker("bridge-event-loop")
        self._pool = pool
        self._threads = pool.threads
        self._turns = pool.new_serial_queue(limit)
        #: Since when calls are on their way to the loop's thread, oldest first.
        self._posted: deque[float] = deque()
        self._nudging = False
        self._senders: ThreadPoolExecutor | None = None
        loop = pool.threads.event_loop
        if loop.driven and loop.loop is None:
            run_on_worker(pool, loop.get)  # the thread that will drive it makes it

    # -- any thread -------------------------------------------------------------------------

    @property
    def occupied(self) -> int:
        """How many calls have a turn: those that run, and those on their way to the loop."""
        return self._turns.running

    @property
    def is_full(self) -> bool:
        """Whether one more would have to wait."""
        return self._turns.busy

    @property
    def abandoned(self) -> int:
        """How many run that nobody awaits any more."""
        return sum(call.interruption is not None for call in list(self.running))

    @property
    def awaited(self) -> bool:
        """Whether one runs that somebody awaits, or whose answer is being sent."""
        return any(call.interruption is None for call in list(self.running))

    def held_since(self) -> float | None:
        """Since when no call could begin: the loop's thread is held up, or every call is abandoned.

        Returns:
            An instant of ``time.monotonic()``; None: it is not so.
        """
        try:
            return self._posted[0]
        except IndexError:
            pass
        running = list(self.running)
        if len(running) < self.limit or any(call.interruption is None for call in running):
            return None
        return max(call.interrupted_at for call in running)

    def submit(self, call: Call) -> None:
        """Run a call soon.

        Raises:
            PoolFull: it would have to wait, and the queue is full; or there is no thread for the
                loop.
            ShuttingDown: after the end.
        """
        pool, serial = self._pool, call.serial
        if pool.closed:
            raise ShuttingDown("the bridge is shutting down", started=False)
        must_wait = self._turns.busy or (serial is not None and serial.busy)
        if must_wait and pool.queued >= pool.max_queue:
            raise PoolFull(
                f"{self._turns.running} async calls run (--max-async {self.limit}) and {pool.queued} "
                "calls wait, which is the limit (--max-queue); try again later",
                started=False,
            )
        if serial is None or serial.enter(call):
            self._take_turn(call)

    def discard(self, call: Call) -> bool:
        """Take a call back that waits. False if it does not."""
        serial = call.serial
        if serial is not None and serial.discard(call):
            return True
        if not self._turns.discard(call):
            return False  # (1), (2)
        if serial is not None:
            self._pass_on(serial.leave())
        return True

    def _pass_on(self, call: Any) -> None:
        if call is not None:
            self._take_turn(call)

    def _take_turn(self, call: Call) -> None:
        if self._turns.enter(call):
            self._post(call)

    def _post(self, call: Call) -> None:
        self._posted.append(time.monotonic())
        try:
            self._threads.event_loop.post(lambda: self._start(call))
        except BaseException:
            self._posted.pop()
            self._leave(call)
            raise

    # -- the loop's thread ------------------------------------------------------------------

    def _start(self, call: Call) -> None:
        self._posted.popleft()
        now = time.monotonic()
        call.started = True
        if call.answered:  # (1), (2)
            self._leave(call)
            return
        try:
            variables = call.new_variables(self._threads.begin())
        except BaseException as error:
            call.fail_unprepared(error)
            self._count(call, now, True)
            self._leave(call)
            return
        self.running.add(call)
        loop = self._threads.event_loop.get()
        task = loop.create_task(self._run(call), context=variables)
        task.add_done_callback(
            lambda ended: self._ended(call, ended, now), context=contextvars.Context()
        )
        call.on_interrupt(lambda: loop.call_soon_threadsafe(task.cancel))  # (3)

    async def _run(self, call: Call) -> list[Any]:
        """What the tool returns, or raises: SystemExit and KeyboardInterrupt would end the loop."""
        try:
            value = call.begin()
            if call.tool.streaming:
                await self._send_items(call, value)
                return [call.returned, None]
            return [await value, None]
        except BaseException as error:
            return [None, error]

    async def _send_items(self, call: Call, items: AsyncGenerator[Any, Any]) -> None:
        """Send the items of an async generator, which is paused while the peer takes none.

        All in the task that calls, because timeouts and cancel scopes inside it belong to a task.
        """
        try:
            call.check()
            sink = call.peer.open_stream(call)
            while True:
                if not sink.is_ready():
                    await self._wait(sink)
                call.check()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                call.check()
                try:
                    if sink.is_ready():
                        sink.send(item)
                    else:
                        await self._in_thread(sink.send, item)
                except EncodeError as error:
                    raise unencodable(call.tool.name, error) from None
        finally:
            await items.aclose()

    async def _wait(self, sink: Sink) -> None:
        """Wait until the peer takes an item: where it says when, without a thread, as many may wait for long."""
        import asyncio

        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def look() -> None:
            with suppress(RuntimeError):  # the loop is closed, at the end of the process
                loop.call_soon_threadsafe(changed.set)

        try:
            while True:
                changed.clear()
                if not sink.watch(look):
                    await self._in_thread(sink.wait)
                    return
                if sink.is_ready():  # (4)
                    return
                await changed.wait()  # the task of a call that is over is cancelled
        finally:
            sink.unwatch()

    def _ended(self, call: Call, task: asyncio.Task[list[Any]], began: float) -> None:
        try:
            ended = task.result()
            result, failure = ended
            ended.clear()  # the task is in frames that the failure will lead to
        except BaseException as error:
            result, failure = None, error  # it was cancelled before its first step
        outcome = _Outcome(call.tool, result, failure)
        result = failure = None
        failed = execute(call, outcome, [], {}, contextvars.copy_context(), call.peer, call.key)
        call.forget_all()
        self.running.discard(call)
        self._count(call, began, failed)
        self._leave(call)
        if not self._nudging:
            # once for all that end in this round of the loop
            self._nudging = True
            self._threads.event_loop.get().call_soon(self._nudge)

    def _nudge(self) -> None:
        self._nudging = False
        self._pool.output.nudge()  # not flush(): a peer that does not read holds up no task

    def _leave(self, call: Call) -> None:
        """Give the turns of a call back."""
        next_call: Any = self._turns.leave()
        if next_call is not None:
            self._post(next_call)
        if call.serial is not None:
            self._pass_on(call.serial.leave())

    def _count(self, call: Call, began: float, failed: bool) -> None:
        self.account.jobs += 1
        ran_s = time.monotonic() - began
        count(self.account.stats, call.tool, began - call.arrived, ran_s, failed)

    async def _in_thread(self, function: Callable[..., object], *args: object) -> None:
        """Run what may block, such as waiting for credit, and not on the loop's thread."""
        if self._senders is None:
            from concurrent.futures import ThreadPoolExecutor

            self._senders = ThreadPoolExecutor(self.limit, "bridge-async-stream")
        loop = self._threads.event_loop.get()
        variables = contextvars.copy_context()
        await loop.run_in_executor(self._senders, lambda: variables.run(function, *args))


class _Outcome:
    """What has become of a call on the loop, for ``execute``, which takes it for its tool."""

    deferred = False

    def __init__(self, tool: ServedTool, result: Any, failure: BaseException | None) -> None:
        self.name = tool.name
        self._outcome = [(result, failure)]

    def function(self) -> Any:
        """Return or raise it, once: nothing is kept here."""
        result, failure = self._outcome.pop()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure
        return result
