"""A duty that must never stand still, and two threads for it: one has it, the other stands by.

The one on duty says when it begins a piece of work that could hold it up, and when that is done.
When a piece lasts too long, the other takes the duty over; who has lost it finds out when its
piece is done, and stands by from then on.

========  =====================================================
on duty   ``working()`` → watched; ``done()`` → not watched
watched   piece too old → the other is on duty, this one is late
late      ``working()``, ``done()`` say so → standing by
========  =====================================================
"""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: A piece of work may last so long.
LIMIT_S = 0.001
#: After so many looks without any work the one that stands by sleeps until there is some.
_IDLE_LOOKS = 50


class Relay:
    """``serve(turn)`` is called on a thread that comes on duty, with the number of its turn.

    It returns when it has lost the duty, or for good after ``end()``.
    """

    def __init__(self, serve: Callable[[int], None], name: str) -> None:
        self._serve = serve
        self._name = name
        self._lock = threading.Lock()
        #: The number of the turn that has the duty. Anybody may read it.
        self.turn = 1
        #: Does the other one stand by? If not, nobody would take over from a piece that hangs.
        #: For the one on duty, who alone can lose it.
        self.watched = False
        #: When the piece of work began; 0.0: there is none.
        self._since = 0.0
        self._pieces = 0
        self._asleep = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._ended = False

    def start(self) -> None:
        """Start both threads; the first has the duty."""
        for number, run in ((1, self._begin), (2, self._go_on)):
            name = f"{self._name}-{number}"
            threading.Thread(target=run, name=name, daemon=True).start()

    def end(self) -> None:
        """The duty is over. On duty."""
        with self._lock:
            self._ended = True
            self._wake.put(None)

    def working(self, turn: int, now: float) -> bool:
        """A piece of work begins, or the next one. False: the duty was lost, and it must not."""
        with self._lock:
            if self.turn != turn:
                return False
            self._since = now
            self._pieces += 1
            if self._asleep:
                self._asleep = False
                self._wake.put(None)
        return True

    def done(self, turn: int) -> bool:
        """The work is done. False: the duty was lost meanwhile."""
        with self._lock:
            if self.turn != turn:
                return False
            self._since = 0.0
        return True

    def _begin(self) -> None:
        self._serve(1)
        self._go_on()

    def _go_on(self) -> None:
        while not self._ended:
            turn = self._stand_by()
            if turn:
                self._serve(turn)

    def _stand_by(self) -> int:
        """Watch until the duty is to be taken over; the number of the turn, 0 if it is over."""
        looks = pieces = 0
        self.watched = True
        while not self._ended:
            time.sleep(LIMIT_S)
            since = self._since
            if since and time.monotonic() - since >= LIMIT_S:
                with self._lock:
                    if self._since == since:
                        self._since = 0.0
                        self.watched = False
                        self.turn += 1
                        return self.turn
            looks = 0 if pieces != self._pieces else looks + 1
            pieces = self._pieces
            if looks >= _IDLE_LOOKS:
                self._sleep(pieces)
                looks = 0
        return 0

    def _sleep(self, pieces: int) -> None:
        with self._lock:
            if pieces != self._pieces or self._ended:
                return
            self._asleep = True
        self._wake.get()
