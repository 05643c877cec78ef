"""Which threads wait for locks that others hold, told to the detector."""

from __future__ import annotations

import _thread
from collections.abc import Hashable

from ..detector import Detector, ThreadSafetyError
from .threads import ThreadStates


class Waiting:
    """Tells the detector that the calling thread waits for a lock. Any thread may call.

    Args:
        detector: is told under ``lock``.
        threads: what is known of the calling thread.
        lock: the recorder's.
    """

    def __init__(self, detector: Detector, threads: ThreadStates, lock: _thread.RLock) -> None:
        self._detector = detector
        self._threads = threads
        self._lock = lock
        #: Whether a call is ended by an exception that would wait for ever.
        self.ends_deadlocks = False

    def begin(self, key: Hashable) -> None:
        """This thread waits for a lock that somebody has, until ``end``."""
        here = self._threads
        thread = here.number
        with self._lock:
            self._detector.locks.wait_for(thread, key, here.stacks.here(), here.call or thread)

    def look(self) -> None:
        """This thread has waited for a while: see whether it ever gets the lock.

        Raises:
            ThreadSafetyError: it does not, and calls are ended that wait for ever.
        """
        with self._lock:
            finding = self._detector.locks.deadlock(self._threads.number)
            if finding is None:
                return
            self._detector.report(finding)
        if self.ends_deadlocks:
            raise ThreadSafetyError(f"a deadlock: {finding.problem}")

    def end(self) -> None:
        """This thread has the lock that it waited for, or has given up."""
        with self._lock:
            self._detector.locks.wait_no_more(self._threads.number)
