"""One timer thread for all deadlines of the process."""

from __future__ import annotations

import heapq
import threading
import time

from ..threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

#: The heap is cleared of calls that have ended when it is this many times the number in flight.
_SLACK = 4
_SMALL = 256
_LONGEST_WAIT_S = 3600.0
#: A call that is still queued is refused so long before its deadline, in seconds, or at this share
#: of its time, whichever is less.
_WORD_S = 0.030
_WORD_SHARE = 0.3


def latest_start(arrived: float, deadline: float) -> float:
    """When a call that is still queued is refused. All are instants of ``time.monotonic()``.

    A little before its deadline: its caller waits no longer than that, and would not learn that the
    tool has never begun, so that it may safely call again.
    """
    early = (deadline - arrived) * _WORD_SHARE
    return deadline - (early if early < _WORD_S else _WORD_S)  # min() takes ten times as long


class Deadlines:
    """Calls ``expire(key)`` when a deadline has passed and ``key`` is still in ``alive``.

    Almost every call ends long before its deadline, and after the thread would wake up anyway: such
    a deadline is only put down, without the lock, and looked at when the thread wakes up, or when so
    many have been put down that most of their calls must have ended.
    The thread starts with the first deadline; ``expire`` runs on it and must not block.

    Guarantees: no deadline is overlooked. The interleaving that matters, and why it is harmless:

    1. A deadline is put down while the thread makes up its mind when to wake up next, later than
       that. Whoever puts one down does so first and looks when the thread wakes up then; the thread
       says when, and looks once more at what was put down before it sleeps.
       (``test_a_deadline_that_comes_as_the_thread_falls_asleep_is_not_overlooked``)
    """

    def __init__(self, alive: Container[int], expire: Callable[[int], object]) -> None:
        self._alive = alive
        self._expire = expire
        self._heap: list[tuple[float, int]] = []
        #: What was put down; not in the heap yet.
        self._new: list[tuple[float, int]] = []
        #: When the thread wakes up by itself.
        self._wakes_at = 0.0
        self._limit = _SMALL
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def add(self, deadline: float, key: int) -> None:
        """Watch ``key``; ``deadline`` is an instant of ``time.monotonic()``, in seconds."""
        new = self._new
        new.append((deadline, key))  # (1)
        if deadline < self._wakes_at or len(new) > self._limit or self._thread is None:
            self._note(deadline)

    def _note(self, deadline: float) -> None:
        """Look at what was put down: the thread has to wake up earlier, or there is too much."""
        with self._changed:
            self._sort_in()
            if deadline < self._wakes_at:
                self._changed.notify()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bridge-timer", daemon=True)
                if start_thread(thread):
                    self._thread = thread

    def catch_up(self) -> None:
        """Expire what is overdue if no thread could be started for it. The main thread calls it."""
        while self._thread is None:
            with self._changed:
                self._sort_in()
                if not self._heap or self._heap[0][0] > time.monotonic():
                    return
                _, key = heapq.heappop(self._heap)
            if key in self._alive:
                self._expire(key)

    def _sort_in(self) -> None:
        """Put what lives of it into the heap, and let go of what has ended there once that is much."""
        heap, new, alive = self._heap, self._new, self._alive
        while new:
            entry = new.pop()
            if entry[1] in alive:
                heapq.heappush(heap, entry)
        if len(heap) > self._limit:
            self._heap = [entry for entry in heap if entry[1] in alive]
            heapq.heapify(self._heap)
            self._limit = max(_SMALL, _SLACK * len(self._heap))

    def _run(self) -> None:
        while True:
            with self._changed:
                while True:
                    now = time.monotonic()
                    self._wakes_at = now + _LONGEST_WAIT_S  # (1) first this, then the look
                    self._sort_in()
                    if self._heap:
                        self._wakes_at = min(self._wakes_at, self._heap[0][0])
                    if self._wakes_at <= now:
                        break
                    self._changed.wait(self._wakes_at - now)
                _, key = heapq.heappop(self._heap)
            if key in self._alive:
                self._expire(key)
