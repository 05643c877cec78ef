"""Locks that tell the recorder when they are held.

``traced_lock`` and ``traced_rlock`` make the classes of what a program gets while locks are traced
(``sync.py``). Those are what the program would have without a check: a traced ``RLock`` is derived from
the real one, a traced ``Lock``, which nothing can be derived from, says that it is one; both can be
waited for, asked and reinitialised as those, and pickled as little. ``RawLock`` stands for a lock
that was made before, in a ``with`` statement of rewritten code.
"""

from __future__ import annotations

import _thread
import itertools
from collections.abc import Callable
from typing import Any

from .recorder import Recorder
from .waiting import Waiting

#: What ``threading.Lock()`` and ``RLock()`` are while nobody traces them.
RAW_LOCKS = (_thread.LockType, _thread.RLock)
#: How long a lock is waited for before it is asked again whether it can ever come.
_LOOK_S = 0.05

_numbers = itertools.count(1)


#: Typed as final, which it is not.
_RLock: Any = _thread.RLock


def _begin(lock: Any) -> None:
    """Give a traced lock what is remembered of it."""
    lock._key = f"lock {next(_numbers)}"
    lock._owner = None
    lock._depth = 0
    lock._clock = None


def wait_for(recorder: Recorder, key: str, take: Callable[[bool, float], bool]) -> bool:
    """Take a lock, however long that lasts: somebody else has it."""
    waiting: Waiting = recorder.waiting
    waiting.begin(key)
    try:
        while not take(True, _LOOK_S):
            waiting.begin(key)  # once more: a semaphore has taken a lock of its own meanwhile
            waiting.look()
    finally:
        waiting.end()
    return True


def _taken(lock: Any, waited: bool) -> None:
    """A traced lock was taken; ``waited``: it would have been waited for without end."""
    lock._depth += 1
    if lock._depth == 1:
        recorder: Recorder = lock._recorder
        lock._owner = recorder.thread
        recorder.acquire(lock._key, waited)
        if lock._clock is not None:
            recorder.receive(lock._clock)


def _given(lock: Any) -> None:
    """A traced lock is about to be given back."""
    recorder: Recorder = lock._recorder
    if lock._owner is not None:
        if lock._owner != recorder.thread:
            # a lock that one thread takes and another gives back is a signal
            lock._clock = recorder.send()
        recorder.release(lock._key, lock._owner)
    lock._owner = None
    lock._depth = 0


class TracedLock:
    """What ``threading.Lock()`` gives while locks are traced."""

    __slots__ = ("__weakref__", "_clock", "_depth", "_key", "_lock", "_owner")

    _recorder: Recorder
    _key: str

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        _begin(self)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _thread.LockType

    def __repr__(self) -> str:
        return repr(self._lock)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle '_thread.lock' object")

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        lasting = blocking and timeout == -1
        if lasting:
            got = self._lock.acquire(False) or wait_for(
                self._recorder, self._key, self._lock.acquire
            )
        else:
            got = self._lock.acquire(blocking, timeout)
        if got:
            _taken(self, lasting)
        else:
            self._recorder.gave_up()
        return got

    def release(self) -> None:
        if self._lock.locked():
            _given(self)  # first, or the next owner would be noted before this one is gone
        self._lock.release()

    def locked(self) -> bool:
        held = self._lock.locked()
        if held:
            self._recorder.gave_up()
        return held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._lock._at_fork_reinit()  # type: ignore[attr-defined]
        self._owner = None
        self._depth = 0

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


class TracedRLock(_RLock):  # type: ignore[misc]
    """What ``threading.RLock()`` gives, and what is derived from its type."""

    __slots__ = ("_clock", "_depth", "_key", "_owner")

    _recorder: Recorder
    _key: str

    def __new__(cls, *args: Any, **kwargs: Any) -> TracedRLock:
        self: TracedRLock = super().__new__(cls, *args, **kwargs)
        _begin(self)
        return self

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        lasting = blocking and timeout == -1
        if lasting:
            got = super().acquire(False) or wait_for(self._recorder, self._key, super().acquire)
        else:
            got = super().acquire(blocking, timeout)
        if got:
            _taken(self, lasting)
        else:
            self._recorder.gave_up()
        return got

    def release(self) -> None:
        if self._is_owned():
            if self._depth == 1:
                _given(self)
            else:
                self._depth -= 1
        super().release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        super()._at_fork_reinit()
        self._owner = None
        self._depth = 0

    def _release_save(self) -> Any:
        # whoever does not own it is refused, and nothing has changed
        depth = self._depth
        if self._is_owned():
            _given(self)
        return depth, super()._release_save()

    def _acquire_restore(self, saved: Any) -> None:
        depth, state = saved
        super()._acquire_restore(state)
        _taken(self, False)
        self._depth = depth


def traced_lock(recorder: Recorder) -> type[TracedLock]:
    """The class of locks that tell ``recorder``."""
    space = {"__slots__": (), "_recorder": recorder, "__module__": "_thread"}
    return type("lock", (TracedLock,), space)


def traced_rlock(recorder: Recorder) -> type[TracedRLock]:
    """The class of reentrant locks that tell ``recorder``."""
    space = {"__slots__": (), "_recorder": recorder, "__module__": "_thread"}
    return type("RLock", (TracedRLock,), space)


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


def key_of(lock: Any) -> str | None:
    """What the detector knows a lock as; None if it is no traced one."""
    return lock._key if issubclass(type(lock), TracedLock | TracedRLock) else None
