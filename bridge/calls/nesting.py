"""Calls that are made within a call: its tool waits for the program that called, which calls a tool.

On a full pool such a *nested* call would wait for a worker that waits for it. So the thread that
waits runs it; or another worker, while one is free and the waiting thread is busy.

Guarantees: a nested call that its caller waits for never waits for a worker that waits for it; each
is run or handed on once. ``wait_until_ended``, ``begin_again`` and ``end_one`` belong to the thread that waits, the
rest is for any thread.

The interleavings, each with its number where it is harmless and why (and its test):

1. A nested call comes when the wait is over. It is refused here, under the lock under which the wait
   ends, and goes to the pool like any other. (``test_a_call_that_comes_after_the_wait_is_refused``)
2. The wait ends while nested calls are left: nobody else has them. They are handed to the pool.
   (``test_what_was_not_begun_when_the_wait_ends_goes_to_the_pool``)
3. A nested call went to a free worker, which has taken another job meanwhile. The thread looks for
   it again whenever it has nothing else to do, and takes it back from the queue of the pool.
   (``test_a_call_that_found_no_worker_after_all_is_taken_back``)
4. What the thread waits for comes before it sleeps: nobody wakes it. It looks once more, under the lock
   under which whoever wakes it sees that it sleeps. (``test_a_wait_that_was_ended_before_it_began_does_not_wait``)
5. A thread reads a stream from its caller, and asks for something else meanwhile: what is made within
   came to the first wait, in which nobody waits. All waits of a thread within one call are one
   ``NestedCalls``, which ends with the last. (``test_nested_calls_run_while_a_stream_from_elixir_is_being_read``)
"""

from __future__ import annotations

import threading
import time
from collections import deque

from ..errors import CallError, PoolFull
from ..typing_names import Any
from .job import worker_here
from .wakes import Sleeper, Wakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .job import NestableJob, Worker
    from .pool import Pool

    class Place(Protocol):
        """Where calls run."""

        @property
        def is_full(self) -> bool:
            """Whether one more would have to wait."""
            raise NotImplementedError

        def submit(self, call: Any, /) -> None:
            """Run it soon."""
            raise NotImplementedError


#: How often a thread that waits looks for nested calls which it has handed on.
_LOOK_S = 0.02


class NestedCalls(Sleeper):
    """The nested calls of one thread that waits inside a tool.

    Args:
        pool: whose worker it is.
        worker: it; None: the thread is none of the pool's, and takes no calls.
        refuse: answers a call with an error.
        wakes: has this thread wake up when what it waits for has come.
    """

    def __init__(
        self,
        pool: Pool,
        worker: Worker | None,
        refuse: Callable[[Any, CallError], object],
        wakes: Wakes,
    ) -> None:
        self._pool = pool
        self.worker = worker
        self._refuse = refuse
        self._wakes = wakes
        #: For how many waits of the thread this is here: a stream that is read, and what is asked for each
        #: item. One at a time waits, and each looks for what it waits for before.
        self._waits = 1
        self._lock = threading.Lock()
        #: Taken whenever nobody sleeps here; whoever wakes the thread releases it.
        self._gate = threading.Lock()
        self._gate.acquire()
        self._asleep = False
        #: ``Wakes`` has woken the thread, and waits to hear of it.
        self._woken = False
        self._waiting: deque[NestableJob] = deque()
        #: Those that the pool has got.
        self._handed_on: list[NestableJob] = []
        self._idle = False
        self._open = worker is not None
        self._ended = False

    def take(self, call: NestableJob) -> bool:
        """Have a nested call run, here or by the pool. False: nobody waits here any more."""
        with self._lock:
            if not self._open:  # (1)
                return False
            if self._idle or not self._pool.has_room:
                self._waiting.append(call)
                self._rouse()
                return True
            self._handed_on.append(call)  # (3)
        self._submit(call)
        return True

    def discard(self, call: NestableJob) -> None:
        """Forget a call that was answered, if it has not begun."""
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)

    def end_wait(self) -> None:
        """Have ``wait_until_ended`` return: what it waits for has come."""
        self._ended = True
        self._wakes.wake(self)

    def wake(self) -> bool:
        with self._lock:
            if self._asleep:
                self._woken = True
            return self._rouse()  # (4)

    def wait_until_ended(self, end: float | None) -> bool:
        """Run nested calls until ``end_wait`` is called; another wait may begin then.

        Args:
            end: when to give up, an instant of ``time.monotonic()``; None: never.

        Returns:
            False if that has come. A nested call that runs is not interrupted by it.
        """
        call: NestableJob | None
        while True:
            left = None if end is None else end - time.monotonic()
            with self._lock:
                self._idle = False
                if self._ended:  # (4)
                    self._ended = False
                    return True
                if self._waiting or self._take_back():
                    call = self._waiting.popleft()
                elif left is not None and left <= 0:
                    return False
                else:
                    call, self._idle, self._asleep = None, True, True
                    if self._handed_on:
                        left = _LOOK_S if left is None else min(left, _LOOK_S)
            if call is None:
                self._sleep(left)
                continue
            self._run(call)
            # as a worker does before it sleeps
            self._pool.output.flush()

    def begin_again(self) -> bool:
        """Have one more wait of the thread be here. False if it takes no more calls."""
        with self._lock:
            self._waits += self._open
            return self._open

    def end_one(self) -> bool:
        """End one of the waits. True: it was the last one, nothing more is taken, and what is left is handed on."""
        with self._lock:
            self._waits -= 1
            if self._waits:
                return False
            self._open = False
            left = list(self._waiting)
            self._waiting.clear()
        for call in left:  # (2)
            self._submit(call)
        return True

    # -- parts ------------------------------------------------------------------------------

    def _rouse(self) -> bool:
        """Wake the thread, if it sleeps. Under the lock."""
        if not self._asleep:
            return False
        self._asleep = False
        self._gate.release()
        return True

    def _sleep(self, seconds: float | None) -> None:
        """Sleep until somebody wakes this thread, at most so long."""
        if not self._gate.acquire(timeout=-1 if seconds is None else seconds):
            with self._lock:
                if self._asleep:
                    self._asleep = False
                else:
                    self._gate.acquire()  # it was released just now, and says so later (2 of wakes.py)
        if self._woken:
            self._woken = False
            self._wakes.go_on()

    def _take_back(self) -> bool:
        """Whether a call that was handed on, and still waits for a worker, has come back."""
        self._handed_on = [
            call for call in self._handed_on if not call.started and not call.answered
        ]
        for call in self._handed_on:
            if self._pool.discard(call):
                self._handed_on.remove(call)
                self._waiting.append(call)
                return True
        return False

    def _submit(self, call: NestableJob) -> None:
        try:
            self._pool.submit(call)
        except CallError as error:
            self._refuse(call, error)

    def _run(self, call: NestableJob) -> None:
        """Run a call in the middle of another one of this thread."""
        serial, worker = call.serial, self.worker
        assert worker is not None
        if serial is not None and not serial.try_enter():
            self._handed_on.append(call)
            self._submit(call)
            return
        outer, since = worker.job, worker.since
        worker.job, worker.since = call, time.monotonic()
        try:
            call.run(worker, worker.since)
        finally:
            worker.job, worker.since = outer, since
            if serial is not None:
                self._pool.leave(serial)


class Nesting:
    """Has nested calls run where they are waited for.

    Args:
        pool: where all others run.
        refuse: answers a call with an error.
    """

    def __init__(self, pool: Pool, refuse: Callable[[Any, CallError], object]) -> None:
        self._pool = pool
        self._refuse = refuse
        self._wakes = Wakes()

    def begin(self, call: NestableJob) -> NestedCalls:
        """Have what is made within ``call`` run on this thread, while that waits.

        A thread of its tool calls it. One that is no worker may, too, and runs none of them.
        """
        worker = worker_here(self._pool.everyone)
        nested: NestedCalls | None = call.nested
        if nested is not None and worker is nested.worker and nested.begin_again():  # (5)
            return nested
        nested = NestedCalls(self._pool, worker, self._refuse, self._wakes)
        if worker is not None and call.nested is None:
            call.nested = nested
        return nested

    def end(self, call: NestableJob, nested: NestedCalls) -> None:
        """End what ``begin`` has begun, on the same thread."""
        if nested.end_one() and call.nested is nested:
            call.nested = None

    def start(self, call: NestableJob, outer: NestableJob, place: Place) -> None:
        """Have a call run that is made within another one.

        Args:
            call: it.
            outer: the other one.
            place: where it would run by itself: the pool, or the event loop.

        Raises:
            CallError: there is no room, or it might wait for itself.
        """
        _check_turns(call)
        if place is not self._pool:
            if place.is_full and _is_any(outer, lambda each: each.on_loop):
                raise _refusal(
                    call, f"{outer.tool_name} awaits it on a full event loop", "--max-async"
                )
            place.submit(call)
            return
        nested = outer.nested
        if nested is not None and nested.take(call):
            return
        if not outer.on_loop and not self._pool.has_room:
            # no thread waits for it that could run it, but one is held up until it ends
            raise _refusal(call, f"{outer.tool_name} holds one of them", "--max-workers")
        self._pool.submit(call)

    def discard(self, call: NestableJob) -> None:
        """Forget a call that was answered, if it has not begun."""
        nested = None if call.outer is None else call.outer.nested
        if nested is not None:
            nested.discard(call)


def _check_turns(call: NestableJob) -> None:
    """Refuse a call that would wait for a turn which a call has that it is made within."""
    serial = call.serial
    if serial is None or not serial.busy:
        return
    if _is_any(call.outer, lambda each: each.serial is serial):
        raise PoolFull(
            f"{call.tool_name} runs {serial.limit} at a time, and this call was made within one that "
            "has such a turn: it might wait for itself. Call another tool, or raise "
            "max_concurrency (serial=True is 1)",
            started=False,
        )


def _is_any(outer: NestableJob | None, wanted: Callable[[NestableJob], bool]) -> bool:
    """Whether a call, or one that it was made within, is such a one."""
    while outer is not None:
        if wanted(outer):
            return True
        outer = outer.outer
    return False


def _refusal(call: NestableJob, why: str, option: str) -> PoolFull:
    return PoolFull(
        f"{call.tool_name} finds no room, and {why}: it might wait for itself ({option})",
        started=False,
    )
