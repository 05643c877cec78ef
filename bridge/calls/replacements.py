"""Threads that go on with calls which nobody awaits any more, while others have their places.

A tool that is cancelled, or out of time, is not interrupted: its worker would be lost for as long as
it runs. Where a pool has threads to spare, another takes the place.

**Guarantees.** Never more than ``spare`` threads beyond the pool's workers; what each of them counts
is counted. **Assumes** that ``replace`` is called only while the job of the worker runs.

1. The old thread's job ends while another thread has its place. The old one keeps a ``Worker`` of
   its own, which it alone writes, finds out that it has no place, is counted under the lock, and
   ends. (``test_the_end_of_a_replaced_job_is_counted_and_touches_no_other``)
"""

from __future__ import annotations

from .job import Worker
from .stats import keep

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class Replacements:
    """The workers of a pool that were replaced. Any thread.

    Args:
        places: the pool's workers; each has its place there.
        idle: those of them that look for a job.
        growing: held while a thread is added.
        start: starts the thread of a worker. False: none can be had.
        spare: how many threads there may be beyond the workers; 0: no worker is replaced.
    """

    def __init__(
        self,
        places: list[Worker],
        idle: list[Worker],
        growing: threading.Lock,
        start: Callable[[Worker], bool],
        spare: int,
    ) -> None:
        self.spare = spare
        self.workers: list[Worker] = []
        #: What those had counted that have ended.
        self.retired = Worker("bridge-retired")
        self._places = places
        self._idle = idle
        self._growing = growing
        self._start = start

    def replace(self, worker: Worker) -> bool:
        """Put another worker in the place of one whose call nobody awaits any more.

        Returns:
            False if there is no thread to spare, or none can be had: it keeps its place.
        """
        if not self.spare:
            return False
        with self._growing:
            if len(self.workers) >= self.spare or worker not in self._places:
                return False
            other = Worker(worker.name)
            self._idle.append(other)
            if not self._start(other):
                self._idle.remove(other)
                return False
            self._places[self._places.index(worker)] = other
            self.workers.append(worker)
            worker.replaced = worker.thread
            worker.thread = None  # (1)
            return True

    def retire(self, worker: Worker) -> None:
        """Count what a worker has counted that was replaced, and whose job has ended."""
        with self._growing:  # (1)
            self.workers.remove(worker)
            keep(worker.stats, self.retired.stats)
