"""Which tools are quick enough to run on the thread that reads: what they have shown so far.

=======  ===========================  =====================================
state    a quick run                  a slow run
=======  ===========================  =====================================
PROVING  one more; QUICK after all    all over again, with twice as many
QUICK    stays                        PROVING, with twice as many
NEVER    stays                        stays
=======  ===========================  =====================================
"""

from __future__ import annotations

PROVING, QUICK, NEVER = "proving", "quick", "never"
#: A quick run takes less. Handing a call to a worker and back costs about half as much.
QUICK_S = 100e-6
#: How many quick runs in a row prove it: at first, and at most.
_FIRST, _MOST = 8, 4096


class LatencyGate:
    """How quick one tool has been. Any thread may note a run; a lost one does not matter."""

    __slots__ = ("state", "_left", "_wanted")

    def __init__(self, never: bool = False) -> None:
        self.state = NEVER if never else PROVING
        self._wanted = self._left = _FIRST

    def note(self, seconds: float) -> None:
        """The tool ran so long."""
        if seconds < QUICK_S:
            if self.state == PROVING:
                self._left -= 1
                if self._left <= 0:
                    self.state = QUICK
        else:
            self.slow()

    def slow(self) -> None:
        """The tool takes long; it has to prove again that it does not."""
        if self.state != NEVER:
            if self.state == QUICK:
                self._wanted = min(2 * self._wanted, _MOST)
            self.state = PROVING
            self._left = self._wanted

    def never(self) -> None:
        """The tool waits for others: it is not for the thread that reads."""
        self.state = NEVER
