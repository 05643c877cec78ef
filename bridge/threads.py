"""Threads where there may be no more of them: under ``ulimit -u``, a limit of pids, or of memory; their queue."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queue import Empty as Empty
    from queue import SimpleQueue as SimpleQueue
else:
    # what "queue" has of them, which brings much that no start needs
    from _queue import Empty, SimpleQueue

__all__ = ["Empty", "SimpleQueue", "start_thread"]


def start_thread(thread: threading.Thread) -> bool:
    """Start a thread, unless the process may have no more.

    Args:
        thread: one that was not started yet.

    Returns:
        Whether it runs. If not, nothing of it does, and the caller goes on with those there are.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        return False
    return True
