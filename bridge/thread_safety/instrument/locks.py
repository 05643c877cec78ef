"""Locks that tell the recorder when they are held.

``TracedLock`` and ``TracedRLock`` are what a program gets while locks are traced (``sync.py``);
``RawLock`` stands for one that was made before, in a ``with`` statement of rewritten code.
"""

from __future__ import annotations

import _thread
import itertools
from typing import Any

from ..detector import Clock
from .recorder import Recorder

#: What ``threading.Lock()`` and ``RLock()`` are while nobody traces them.
RAW_LOCKS = (type(_thread.allocate_lock()), type(_thread.RLock()))

_numbers = itertools.count(1)


class _Traced:
    """What traced locks of both kinds have.

    Args:
        recorder: is told when it is held.
        lock: the lock that it stands for.
    """

    def __init__(self, recorder: Recorder, lock: Any) -> None:
        self._recorder = recorder
        self._lock = lock
        self._key = f"lock {next(_numbers)}"
        self._owner: int | None = None
        self._depth = 0
        self._clock: Clock | None = None

    def __repr__(self) -> str:
        return f"<traced {self._lock!r}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        got: bool = self._lock.acquire(blocking, timeout)
        if got:
            self._taken()
        return got

    def release(self) -> None:
        # first, or the next owner would be noted before this one is gone
        last = self._depth == 1
        if last:
            self._given()
        else:
            self._depth -= 1
        try:
            self._lock.release()
        except RuntimeError:
            self._depth += not last
            raise

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._lock._at_fork_reinit()
        self._depth = 0

    def _taken(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._owner = self._recorder.thread
            self._recorder.acquire(self._key)
            if self._clock is not None:
                self._recorder.receive(self._clock)

    def _given(self) -> None:
        thread = self._recorder.thread
        if self._owner is not None:
            if self._owner != thread:
                # a lock that one thread takes and another gives back is a signal
                self._clock = self._recorder.send()
            self._recorder.release(self._key, self._owner)
        self._owner = None
        self._depth = 0


class TracedLock(_Traced):
    """What ``threading.Lock()`` gives while locks are traced."""

    def locked(self) -> bool:
        held: bool = self._lock.locked()
        return held


class TracedRLock(_Traced):
    """What ``threading.RLock()`` gives: with what ``Condition`` and others ask reentrant ones for."""

    if hasattr(RAW_LOCKS[1], "locked"):  # since Python 3.14

        def locked(self) -> bool:
            held: bool = self._lock.locked()
            return held

    def _is_owned(self) -> bool:
        owned: bool = self._lock._is_owned()
        return owned

    def _recursion_count(self) -> int:
        count: int = self._lock._recursion_count()
        return count

    def _release_save(self) -> tuple[int, Any]:
        depth = self._depth
        self._given()
        return depth, self._lock._release_save()

    def _acquire_restore(self, saved: tuple[int, Any]) -> None:
        depth, state = saved
        self._lock._acquire_restore(state)
        self._taken()
        self._depth = depth


class RawLock:
    """A lock that was made before locks were traced, in a ``with`` statement."""

    def __init__(self, recorder: Recorder, lock: Any) -> None:
        self._recorder, self._lock = recorder, lock

    def __enter__(self) -> Any:
        result = self._lock.__enter__()
        self._recorder.raw_acquired(self._lock)
        return result

    def __exit__(self, *exception: object) -> None:
        self._recorder.raw_released(self._lock)
        self._lock.__exit__(*exception)
