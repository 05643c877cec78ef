"""Collaborators that do something of the test's own at the one moment that matters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class ScriptedLock:
    """A lock that runs what a test wants before it is taken, or before it is given back.

    ``before_acquire`` and ``before_release`` are called once, by the thread for which ``wanted``
    is true; what they do with the lock themselves is plain.
    """

    def __init__(
        self,
        *,
        before_acquire: Callable[[], object] | None = None,
        before_release: Callable[[], object] | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._lock = threading.Lock()
        self._before_acquire, self._before_release = before_acquire, before_release
        self._wanted = wanted

    def acquire(self, blocking: bool = True) -> bool:
        if self._before_acquire is not None and self._wanted():
            script, self._before_acquire = self._before_acquire, None
            script()
        return self._lock.acquire(blocking)

    def release(self) -> None:
        if self._before_release is not None and self._wanted():
            script, self._before_release = self._before_release, None
            script()
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class ScriptedTokens:
    """A ``SimpleQueue`` that tells when somebody waits, and hands a token on when it may.

    ``asleep``: released each time a thread comes for a token. ``may_go``: what a thread that has
    one waits for, if the test has set it to an event.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self.asleep = threading.Semaphore(0)
        self.may_go: threading.Event | None = None
        self.taken = threading.Semaphore(0)

    def put(self, token: Any) -> None:
        self._queue.put(token)

    def get(self) -> Any:
        self.asleep.release()
        token = self._queue.get()
        self.taken.release()
        may_go = self.may_go
        if token and may_go is not None:
            assert may_go.wait(20.0), "the test does not let it go"
        return token
