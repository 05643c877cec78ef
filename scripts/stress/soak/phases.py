"""What everybody does at which time: all processes look at the same clock, and need no telling.

=========  ================  ==================  ===========================================
phase      stdio             gRPC                for
=========  ================  ==================  ===========================================
load       all that it can   its share           losses, duplicates, growth
quiet      waits for what    waits, too          a lost wake-up: nothing that comes after it
           is in flight                          mends it; memory with nothing in flight
beside     pings beside      goes on             stalls of the reader
           tools that turn
alone      slow              waits               stalls, without the neighbour
=========  ================  ==================  ===========================================
"""

from __future__ import annotations

LOAD, QUIET, BESIDE, ALONE = "load", "quiet", "beside", "alone"
PROBES = (BESIDE, ALONE)
_QUIET_S = 0.1
_PROBE_S = 0.45


class Phases:
    """``began``: an instant of ``time.monotonic()``; ``cycle_s``: how long all phases last."""

    def __init__(self, began: float, cycle_s: float) -> None:
        self._began = began
        self._cycle_s = cycle_s
        probe_s = min(_PROBE_S, cycle_s / 8)
        self._ends: list[tuple[float, str]] = [
            (cycle_s - _QUIET_S - 2 * probe_s, LOAD),
            (cycle_s - 2 * probe_s, QUIET),
            (cycle_s - probe_s, BESIDE),
            (cycle_s, ALONE),
        ]

    def at(self, now: float) -> tuple[str, float]:
        """The phase, and the instant of its end."""
        cycles, within = divmod(now - self._began, self._cycle_s)
        end, phase = next(last for last in self._ends if within < last[0])
        return phase, self._began + cycles * self._cycle_s + end
