"""Wakes threads one after the other.

A thread that is awake wants the GIL, and asks for it again and again while others have it. When many
answers come at once, and all whom they are for are woken, that costs more than what they do then. So
one is woken, which has the next one woken as soon as it runs.

Guarantees: each sleeper that was due is woken, or was awake after it had become due; no more than one
of them is on its way at a time. Whoever is woken must call ``go_on``, whatever has woken it besides.

The interleavings, each with its number where it is harmless and why (and its test):

1. A sleeper that is due wakes up by itself before its turn. It is passed over, as it would never say
   that it runs. (``test_a_sleeper_that_woke_up_by_itself_is_passed_over``)
2. The time of a sleeper is over while it is woken: the thread takes that for the wake, and goes on with
   the next one. (``test_a_wait_that_ends_while_it_is_woken_wakes_the_next_one``)
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque


class Sleeper(ABC):
    """A thread that sleeps, as far as its waking goes."""

    @abstractmethod
    def wake(self) -> bool:
        """Wake the thread: it calls ``Wakes.go_on``. False if it is awake, or already woken."""


class Wakes:
    """Has sleepers wake up, in the order in which they became due. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: deque[Sleeper] = deque()
        self._waking = False

    def wake(self, sleeper: Sleeper) -> None:
        """Have a sleeper wake up soon."""
        with self._lock:
            self._due.append(sleeper)
            if not self._waking:
                self._wake_next()

    def go_on(self) -> None:
        """Note that the one that was woken runs. Its thread calls this."""
        with self._lock:
            self._wake_next()

    def _wake_next(self) -> None:
        self._waking = False
        while self._due:
            if self._due.popleft().wake():  # (1)
                self._waking = True
                return
