"""What rewritten code says of its local variables and tests: which looks a call decides by.

Local variables are nobody else's business; but what they got their values from says which looks at
shared objects decide how a call goes on.
"""

from __future__ import annotations

from typing import Any

from ..detector import Detector
from .containers import Containers
from .recorder import Recorder
from .threads import ThreadStates


class Decisions:
    """Tells the detector what the calling thread's call decides by. For any thread.

    Args:
        detector: is told under the recorder's lock.
        containers: is told of values whose truth is asked for.
    """

    def __init__(
        self,
        detector: Detector,
        threads: ThreadStates,
        recorder: Recorder,
        containers: Containers,
    ) -> None:
        self._detector = detector
        self._calls = detector.calls
        self._threads = threads
        self._recorder = recorder
        self._containers = containers

    def mark(self) -> int:
        """The point that the call has come to, for the methods below."""
        # without the lock: no other thread works for this call; without ``task``: it costs a call
        here = self._threads
        return self._calls.mark(here.call or here.number)

    def named(self, name: str, mark: int, value: Any, *names: str) -> Any:
        """``value`` of a local variable: made since ``mark``, and from other local variables."""
        here = self._threads
        task = here.call or here.number
        if names or self._calls.mark(task) != mark:
            with self._recorder.lock:
                self._calls.name(task, name, mark, names)
        return value

    def decided(self, test: str | None, mark: int, value: Any, *names: str) -> Any:
        """``value`` of a test that says how the call goes on; for the rest as ``named``."""
        self._containers.test(value)
        here = self._threads
        task = here.call or here.number
        if names or self._calls.mark(task) != mark:
            with self._recorder.lock:
                self._detector.decide(here.number, task, test, mark, names)
        return value

    def took(self, branch: str, value: Any = None) -> Any:
        """The call takes a branch; ``value`` is made on it."""
        self._threads.path.add(branch)
        return value

    def settled(self, *tests: str) -> None:
        """What depends on these tests is done."""
        here = self._threads
        task = here.call or here.number
        if self._calls.mark(task):
            with self._recorder.lock:
                for test in tests:
                    self._calls.settle(task, test)
