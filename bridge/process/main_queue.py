"""What comes to the main thread while it serves: a reason to end, or something to run there.

Guarantees: a reason to end that comes while the main thread runs something is hurried, so that the
process ends although that does not; ``hurry`` is called once. Assumes that a signal's handler, which
runs on the main thread, calls ``note``, and that another thread calls ``wake`` when a signal has come.
The main thread runs ``take``, any other one the rest.

The interleavings, each with its number where it is harmless and why (and its test):

1. A signal comes as ``take`` has found something to run, and has not said that it is busy: nobody
   would hurry. Whoever has a reason says so first, and looks then whether the main thread is busy;
   that one does it the other way round.
   (``test_an_end_that_comes_as_something_begins_to_run_is_hurried``)
2. A signal comes, and its handler does not run: the main thread is about to wait here, or what it
   runs does not come back to Python. ``wake`` ends the first; of the second it hurries the end.
   (``test_a_signal_whose_handler_does_not_run_is_hurried``,
   ``test_a_main_thread_that_waits_is_woken_so_that_the_handler_runs``)
3. The handler runs while what it has interrupted holds a lock that it takes to start a thread. It
   starts none: ``wake`` does, on its own thread.
   (``test_a_handler_leaves_the_hurry_to_another_thread``)
"""

from __future__ import annotations

import threading

from ..threads import Empty, SimpleQueue

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
        self._queue: SimpleQueue[str | Callable[[], object] | None] = SimpleQueue()
        self._hurry = hurry
        self._busy = False
        #: Whether there is a reason that ``take`` has not returned.
        self._wanted = False
        #: Held by whoever hurries, and for ever after.
        self._hurrying = threading.Lock()

    def end(self, reason: str) -> None:
        """Have ``take`` return a reason to end. Not in a signal handler: see ``note``."""
        self.note(reason)
        self._look()

    def note(self, reason: str) -> None:
        """The same in a handler of a signal of which somebody else is told by ``wake``."""
        self._wanted = True
        self._queue.put(reason)

    def wake(self) -> None:
        """Have the main thread run the handlers of signals that have come: one is a reason to end."""
        self._wanted = True  # (1) first this, then the look
        self._queue.put(None)  # (2)
        self._look()

    def post(self, function: Callable[[], object]) -> None:
        """Have ``take`` run a function, which must not raise. Returns at once."""
        self._queue.put(function)

    def take(self, timeout_s: float) -> str | None:
        """The next reason to end, or None after so long; what was posted meanwhile is run."""
        try:
            found = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if found is None:
            return None
        if isinstance(found, str):
            self._wanted = False
            return found
        self._busy = True
        self._look()  # (1)
        try:
            found()
        finally:
            self._busy = False
        return None

    def _look(self) -> None:
        if self._busy and self._wanted and self._hurrying.acquire(blocking=False):
            self._hurry()
