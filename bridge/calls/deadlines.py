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


class Deadlines:
    """Calls ``expire(key)`` when a deadline has passed and ``key`` is still in ``alive``.

    Almost every call ends long before its deadline, so ending one costs nothing here: its entry
    stays in the heap until it comes up, or until the heap has grown out of proportion.
    The thread starts with the first deadline; ``expire`` runs on it and must not block.
    """

    def __init__(self, alive: Container[int], expire: Callable[[int], object]) -> None:
        self._alive = alive
        self._expire = expire
        self._heap: list[tuple[float, int]] = []
        self._limit = _SMALL
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def add(self, deadline: float, key: int) -> None:
        """Watch ``key``; ``deadline`` is an instant of ``time.monotonic()``, in seconds."""
        with self._changed:
            heap = self._heap
            heapq.heappush(heap, (deadline, key))
            if heap[0][1] == key:
                self._changed.notify()
            if len(heap) > self._limit:
                self._clear()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bridge-timer", daemon=True)
                if start_thread(thread):
                    self._thread = thread

    def catch_up(self) -> None:
        """Expire what is overdue if no thread could be started for it. The main thread calls it."""
        while self._thread is None:
            with self._changed:
                if not self._heap or self._heap[0][0] > time.monotonic():
                    return
                _, key = heapq.heappop(self._heap)
            if key in self._alive:
                self._expire(key)

    def _clear(self) -> None:
        self._heap = [entry for entry in self._heap if entry[1] in self._alive]
        heapq.heapify(self._heap)
        self._limit = max(_SMALL, _SLACK * len(self._heap))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap or self._heap[0][0] > time.monotonic():
                    wait = self._heap[0][0] - time.monotonic() if self._heap else _LONGEST_WAIT_S
                    self._changed.wait(min(wait, _LONGEST_WAIT_S))
                _, key = heapq.heappop(self._heap)
            if key in self._alive:
                self._expire(key)
