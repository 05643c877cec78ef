"""Which tools are quick enough to run on the thread that reads: what they have shown so far.

=======  ==============================  ================================================
state    a quick run                     a slow run
=======  ==============================  ================================================
PROVING  one more; QUICK after all       all over again
QUICK    makes up for part of a slip     a slip; PROVING with twice as many after too many
NEVER    stays                           stays
=======  ==============================  ================================================

A tool that has proven quick keeps that for some slips: beside others that compute, a run of
microseconds is now and then seen to take milliseconds, because its thread did not get the GIL or a
core. To be wrong costs little, as somebody else reads on after 1 ms; to be on a worker means to
wait for one.
"""

from __future__ import annotations

PROVING, QUICK, NEVER = "proving", "quick", "never"
#: A quick run takes less. Handing a call to a worker and back costs about half as much.
QUICK_S = 100e-6
#: How many quick runs in a row prove it: at first, and at most.
_FIRST, _MOST = 8, 4096
#: So many quick runs make up for one slow run, and for one that held the reader up.
_SLIP, _LAPSE = 8, 32
#: With so many to make up for, the tool is quick no more: two that held the reader up, for example.
_TOO_MANY = 48
#: After so many quick runs half as many prove it the next time.
_FORGIVEN = 1024


class LatencyGate:
    """How quick one tool has been. Any thread may note a run; a lost one does not matter."""

    __slots__ = ("state", "_left", "_wanted", "_to_make_up", "_until_forgiven")

    def __init__(self, never: bool = False) -> None:
        self.state = NEVER if never else PROVING
        self._wanted = self._left = _FIRST
        self._to_make_up = 0
        self._until_forgiven = _FORGIVEN

    def note(self, seconds: float) -> None:
        """The tool ran so long."""
        if seconds >= QUICK_S:
            self._slip(_SLIP)
        elif self.state == QUICK:
            if self._to_make_up:
                self._to_make_up -= 1
            if self._wanted > _FIRST:
                self._forgive()
        elif self.state == PROVING:
            self._left -= 1
            if self._left <= 0:
                self.state = QUICK
                self._to_make_up = 0
                self._until_forgiven = _FORGIVEN

    def slow(self) -> None:
        """The tool has held up the thread that reads."""
        self._slip(_LAPSE)

    def never(self) -> None:
        """The tool waits for others: it is not for the thread that reads."""
        self.state = NEVER

    def _slip(self, weight: int) -> None:
        if self.state == QUICK:
            self._to_make_up += weight
            if self._to_make_up < _TOO_MANY:
                return
            self._wanted = min(2 * self._wanted, _MOST)
        if self.state != NEVER:
            self.state = PROVING
            self._left = self._wanted

    def _forgive(self) -> None:
        self._until_forgiven -= 1
        if self._until_forgiven <= 0:
            self._wanted //= 2
            self._until_forgiven = _FORGIVEN
