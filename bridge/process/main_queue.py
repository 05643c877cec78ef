"""What comes to the main thread while it serves: a reason to end, or something to run there."""

from __future__ import annotations

from queue import Empty, SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class MainQueue:
    """Any thread puts, signal handlers too; the main thread takes.

    Args:
        hurry: called when there is a reason to end, but the main thread runs something.
    """

    def __init__(self, hurry: Callable[[], object]) -> None:
        # not an Event: a signal handler may interrupt the thread that waits for it
        self._queue: SimpleQueue[str | Callable[[], object]] = SimpleQueue()
        self._hurry = hurry
        self._busy = False

    def end(self, reason: str) -> None:
        """Have ``take`` return a reason to end."""
        self._queue.put(reason)
        if self._busy:
            self._hurry()

    def post(self, function: Callable[[], object]) -> None:
        """Have ``take`` run a function, which must not raise. Returns at once."""
        self._queue.put(function)

    def take(self, timeout_s: float) -> str | None:
        """The next reason to end, or None after so long; what was posted meanwhile is run."""
        try:
            found = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(found, str):
            return found
        self._busy = True
        try:
            found()
        finally:
            self._busy = False
        return None
