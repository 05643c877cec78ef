"""What is no call, and runs on a worker all the same, for another thread that waits for it."""

from __future__ import annotations

import time

from ..threads import SimpleQueue
from .job import Job, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .pool import Pool


def run_on_worker(pool: Pool, function: Callable[[], Any]) -> Any:
    """Run a function on a worker, and wait.

    Returns:
        What it returns.

    Raises:
        PoolFull: there is no thread for a worker.
        BaseException: what it raises.
    """
    errand = Errand(function)
    # not refused for want of room: the worker may just be coming back from the errand before
    pool.submit(errand, may_wait=True)
    return errand.wait()


class Errand(Job):
    """Runs a function on a worker; ``wait`` returns what that returns, and raises what it raises."""

    serial = None

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run(self, worker: Worker, now: float) -> float:
        try:
            self._outcome.put((self._function(), None))
        except BaseException as error:
            self._outcome.put((None, error))
        return time.monotonic()

    def wait(self) -> Any:
        """Wait for the outcome, once. On any other thread."""
        result, error = self._outcome.get()
        if error is not None:
            raise error
        return result
