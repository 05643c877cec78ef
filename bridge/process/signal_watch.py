"""Has signals noticed while the main thread waits in the system, or for somebody else's code.

Python runs the handler of a signal on the main thread, at one of its next bytecodes. A signal that
comes before the main thread goes into a system call that waits, and after Python has looked for
signals for the last time, does not interrupt that call; neither does one that the system gives to
another thread, as the main one blocks it. Then the handler runs when the call is over: for
``time.sleep(60)`` a minute later. What Python does at once, on whichever thread, is to write the
number of the signal to a descriptor (``signal.set_wakeup_fd``). Here a thread reads that.
"""

from __future__ import annotations

import os
import threading

from ..threads import start_thread
from .main_queue import MainQueue
from .shutdown import handle_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    # what is behind "signal", without its enums: these take a tenth of the time of a start
    import _signal as signal

#: Those that are a reason to end.
_NUMBERS = frozenset([int(signal.SIGTERM), int(signal.SIGINT), int(signal.SIGHUP)])
#: So many numbers are read at once.
_READ_BYTES = 64


class SignalWatch:
    """Calls ``come`` when SIGTERM, SIGHUP or SIGINT has come, on a thread of its own.

    The handler of the signal may have run by then, or not. Asyncio takes the descriptor for itself
    while a loop on the main thread has signal handlers of its own; the bridge's loop has none.
    """

    def __init__(self, come: Callable[[], object]) -> None:
        self._come = come

    def start(self) -> bool:
        """Begin. On the main thread. False: there is no descriptor or no thread for it."""
        try:
            source, sink = os.pipe()
        except OSError:
            return False
        thread = threading.Thread(
            target=self._watch, args=(source,), name="bridge-signals", daemon=True
        )
        if not start_thread(thread):
            os.close(source)
            os.close(sink)
            return False
        os.set_blocking(sink, False)
        # a full pipe is no news: somebody is about to read it
        signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
        return True

    def forked(self) -> None:
        """In a process that a tool has forked: the signals of this one are not the parent's."""
        signal.set_wakeup_fd(-1)

    def _watch(self, source: int) -> None:
        while numbers := os.read(source, _READ_BYTES):
            if not _NUMBERS.isdisjoint(numbers):
                self._come()


def heed_signals(queue: MainQueue, *, watched: bool) -> Callable[[], object]:
    """Have a signal be a reason to end. On the main thread.

    Args:
        queue: where that comes to.
        watched: whether the main thread may be busy, so that it notices none by itself.

    Returns:
        What is to be called in a process that a tool has forked.
    """
    watch = SignalWatch(queue.wake)
    watched = watched and watch.start()
    handle_signals(queue.note if watched else queue.end)
    return watch.forked
