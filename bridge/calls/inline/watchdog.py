"""Two threads for one role that must never stand still: one leads, the other stands by.

The leader says when it begins a piece of work that could hold it up, and when that is done. When
a piece lasts too long, the one that stands by takes the role over; whoever has lost it finds out
when its piece is done, and stands by from then on. (The Leader/Followers pattern of Schmidt et
al., Pattern-Oriented Software Architecture, volume 2, with the handing over made by a watchdog.)

=======  ==========================================================
state    what happens
=======  ==========================================================
leads    ``watch()`` → watched; ``release()`` → leads
watched  the piece is too old → the other leads, this one is late
late     ``watch()`` and ``release()`` say so → stands by
=======  ==========================================================

Guarantees:

- At most one thread leads. A term ends at most once, and each has a larger number than the last.
- A piece that lasts longer than ``LIMIT_S`` costs its leader the role at the next look, one
  ``LIMIT_S`` later at most if the standing-by thread is scheduled; nobody leads after ``end()``.
- With nothing to do, neither thread wakes up.

Assumes that the leader tells of each piece that may hold it up, and does none without a thread
that stands by (``watched``). The leading thread runs ``watch``, ``release``, ``wait_until_watched`` and
``end``; the other one ``_stand_by`` and ``_sleep``.

The interleavings, each with its number where it is harmless and why (and its test):

1. The piece is done just after the other thread has found it too old. Under the lock that one
   looks again whether it is the same piece, and leaves the role where it is if not.
   (``test_a_piece_that_ends_while_it_is_found_too_old_costs_nothing``)
2. The role is lost just before the leader begins the next piece, or tells that one is done. Under
   the lock it sees another term: it must not begin, and stands by.
   (``test_a_piece_of_work_that_lasts_too_long_costs_the_role``)
3. A piece begins while the other thread falls asleep, and nobody would watch it. Under the lock it
   looks whether a piece has begun since it last looked, and stays awake then.
   (``test_a_piece_that_begins_while_the_other_falls_asleep_is_watched``)
4. The new leader begins a piece while the late one still hangs: nobody could take over from it.
   It is not ``watched`` until the late one stands by.
   (``test_while_one_is_late_the_leader_is_not_watched``)
5. The late one stands by just when the leader begins to wait for that. The leader takes back what
   was said before, and looks then; the other one does it the other way round.
   (``test_the_leader_waits_until_the_late_one_stands_by``)
"""

from __future__ import annotations

import threading
import time

from ...threads import SimpleQueue, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: A piece of work may last so long, in seconds; so often the other thread looks.
LIMIT_S = 0.001
#: So long a leader waits for the late one, once a term if in vain. Beside threads that compute, that
#: one may wait for the GIL, and for a slice of its CPU, which is 3 or 4 ms on Linux.
PATIENCE_S = 0.005
#: After so many looks without any work the one that stands by sleeps until there is some.
_IDLE_LOOKS = 50


class Watchdog:
    """Runs ``lead`` on one of two threads, and on the other when the first is held up.

    Args:
        lead: called on a thread that gets the role, with the number of its term (1, 2, …) and
            that of the thread (0 or 1). It returns when it has lost the role, or for good after
            ``end()``.
        name: of the threads, which get ``-1`` and ``-2`` behind it.
        limit_s: how long a piece of work may last, in seconds.
        ended: called by each thread last.
    """

    def __init__(
        self,
        lead: Callable[[int, int], None],
        name: str,
        limit_s: float = LIMIT_S,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._lead = lead
        self._ended_thread = ended
        self._name = name
        self._limit_s = limit_s
        self._lock = threading.Lock()
        #: The number of the term that leads. Any thread may read it.
        self.term = 1
        #: Whether the other thread stands by. If not, nobody would take over from a piece that
        #: hangs. For the leader, who alone can lose the role.
        self.watched = False
        #: Set when a thread stands by.
        self._standing_by = threading.Event()
        #: The last term whose leader has waited for that in vain.
        self._impatient = 0
        #: When the piece of work began; 0.0: there is none.
        self._since = 0.0
        self._pieces = 0
        self._asleep = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._ended = False
        self._threads: list[threading.Thread] = []

    def start(self) -> bool:
        """Start both threads; the first leads. Without a second one nothing is ``watched``.

        Returns:
            False if not even one thread could be started.
        """
        first, second = (
            threading.Thread(
                target=run, args=(number,), name=f"{self._name}-{number + 1}", daemon=True
            )
            for number, run in enumerate((self._begin, self._go_on))
        )
        if not start_thread(first):
            return False
        self._threads = [first]
        if start_thread(second):
            self._threads.append(second)
        return True

    def join(self, end: float) -> None:
        """Wait until both threads have ended, until an instant at most."""
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def end(self) -> None:
        """End the role for good. The leader calls it."""
        with self._lock:
            self._ended = True
            self._wake.put(None)

    def watch(self, term: int, now: float) -> bool:
        """Begin a piece of work, or the next one.

        Args:
            term: that of the caller.
            now: ``time.monotonic()``; the piece may last ``limit_s`` from then on.

        Returns:
            False if the role was lost: then the caller must not do the work.
        """
        with self._lock:
            if self.term != term:  # (2)
                return False
            self._since = now
            self._pieces += 1
            if self._asleep:
                self._asleep = False
                self._wake.put(None)
        return True

    def release(self, term: int) -> bool:
        """End the watch: the work is done. False if the role was lost meanwhile."""
        with self._lock:
            if self.term != term:  # (2)
                return False
            self._since = 0.0
        return True

    def wait_until_watched(self) -> bool:
        """Wait, shortly, until the late thread stands by again. The leader calls it.

        Returns:
            Whether it does. If it hangs, no later call of the same term waits.
        """
        if not self.watched and self._impatient != self.term:
            self._standing_by.clear()  # (5)
            if not self.watched and not self._standing_by.wait(PATIENCE_S):
                self._impatient = self.term
        return self.watched

    def _begin(self, number: int) -> None:
        self._lead(1, number)
        self._go_on(number)

    def _go_on(self, number: int) -> None:
        try:
            while not self._ended:
                term = self._stand_by()
                if term:
                    self._lead(term, number)
        finally:
            self._ended_thread()

    def _stand_by(self) -> int:
        """Watch until the role is to be taken over; the number of the term, 0 if all is over."""
        looks = pieces = 0
        self.watched = True
        self._standing_by.set()  # (5)
        while not self._ended:
            time.sleep(LIMIT_S)
            since = self._since
            if since and time.monotonic() - since >= self._limit_s:
                with self._lock:
                    if self._since == since:  # (1)
                        self._since = 0.0
                        self.watched = False  # (4)
                        self.term += 1
                        return self.term
            looks = 0 if pieces != self._pieces else looks + 1
            pieces = self._pieces
            if looks >= _IDLE_LOOKS:
                self._sleep(pieces)
                looks = 0
        return 0

    def _sleep(self, pieces: int) -> None:
        with self._lock:
            if pieces != self._pieces or self._ended:  # (3)
                return
            self._asleep = True
        self._wake.get()
