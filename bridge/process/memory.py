"""Gives memory that is free inside of the process back to the system, once nothing needs it.

glibc keeps what is freed in a heap for each thread. After large messages by many callers that is
tens of MiB, which only an explicit ``malloc_trim`` gives back. It costs the next large messages
page faults, so it is done when the process does nothing.
"""

from __future__ import annotations

import time

from ..resident_memory import resident_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: So much more than ever before must be in use for it to be worth the while; of large processes an
#: eighth.
_GROWTH_BYTES = 16 << 20
_GROWTH_SHARE = 8
#: So long the process must have done something since the last time, in seconds; twice as long each
#: time when that gave back less than so many bytes.
_WORK_S = 0.1
_USEFUL_BYTES = 4 << 20
#: The process does nothing if it takes less than this share of a core.
_NOTHING = 0.02
#: One that always does something is trimmed after so long, in seconds, and as long as that does not
#: suffice, after twice as long each time.
_PATIENCE_S = 1.0
#: How often to look: usually, and when there may be something to be given back. The main thread
#: looks after other things as often.
_SELDOM_S, _SOON_S = 0.5, 0.1


class MemoryWatch:
    """Looks whether the process has grown, and trims its heaps. The main thread calls it.

    Args:
        trim: gives back what can be; default: glibc's, where there is one.
        resident: how many bytes are in use; default: as Linux counts.
        clock: tells the time; default: monotonic.
        work: so long the threads have run, in seconds; default: those of this process.
    """

    def __init__(
        self,
        trim: Callable[[], object] | None = None,
        resident: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        work: Callable[[], float] = time.process_time,
    ) -> None:
        self._trim = trim or _trim
        self._resident = resident or resident_bytes
        self._clock, self._work = clock, work
        self._looked, self._worked = clock(), work()
        self._least = self._resident()
        self._trimmed = -1.0  # how much work was done by then
        self._needed_s = _WORK_S
        #: When that is to be done though the process does something; None: there is nothing to do.
        self._latest: float | None = None
        self._patience_s = _PATIENCE_S

    def look(self) -> float:
        """Trim if it is worth the while. Returns when to look again, in seconds from now."""
        now, work = self._clock(), self._work()
        rests = work - self._worked < _NOTHING * (now - self._looked)
        self._looked, self._worked = now, work
        resident = self._resident()
        self._least = min(self._least, resident)
        if resident - self._least < max(_GROWTH_BYTES, self._least // _GROWTH_SHARE):
            self._latest, self._patience_s, self._needed_s = None, _PATIENCE_S, _WORK_S
            return _SELDOM_S
        if rests:
            if work - self._trimmed >= self._needed_s:
                self._trim()
                self._trimmed = work
                useful = resident - self._resident() >= _USEFUL_BYTES
                self._needed_s = _WORK_S if useful else 2 * self._needed_s
            return _SELDOM_S
        if self._latest is None:
            self._latest = now + self._patience_s
        elif now >= self._latest:
            self._trim()
            self._patience_s *= 2
            self._latest = now + self._patience_s
        return _SOON_S


def _trim() -> None:
    """Have the C library give back what it can."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, AttributeError, OSError):
        pass  # not glibc, or a Python without ctypes
