"""What is going on in a process, for whoever waits for its end."""

from __future__ import annotations

import time

from .call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .async_calls import AsyncCalls
    from .interfaces import Intake
    from .job import Worker
    from .pool import Pool

#: How often is looked: nobody announces what is waited for, as only the end of the process does so.
_LOOK_S = 0.002
_MOMENT_S = 0.1  # for the answer to a call that was claimed just before the end
#: So long the peer may take to read what it has got, where that needs this process.
_READ_S = 1.0


class Activity:
    """Looks at what others write. Any thread may ask, at any time; nothing waits for it.

    Args:
        pool: where calls run.
        async_calls: those that need no worker; None: there are none.
        calls: those without an answer.
        ending: those that are just being interrupted.
    """

    def __init__(
        self,
        pool: Pool,
        async_calls: AsyncCalls | None,
        calls: Collection[int],
        ending: Collection[Call],
    ) -> None:
        self._pool = pool
        self._async_calls = async_calls
        self._calls = calls
        self._ending = ending

    def is_idle(self) -> bool:
        """Whether no tool runs, abandoned ones included."""
        tasks = self._async_calls
        return (tasks is None or not tasks.occupied) and all(
            worker.job is None for worker in self._pool.everyone()
        )

    def is_finished(self) -> bool:
        """Whether each call has its answer sent. A claimed one may still be encoded."""
        tasks = self._async_calls
        return (
            not (self._calls or self._ending or self._pool.queued)
            and (tasks is None or not tasks.awaited)
            and all(w.job is None or is_abandoned(w) for w in self._pool.everyone())
        )

    def drain(self, cancel_rest: Callable[[], object], grace: float, intake: Intake | None) -> bool:
        """Wait until all is answered, once nothing more is accepted. Not on a worker: it would hang.

        Args:
            cancel_rest: answers what is left.
            grace: how long to wait before, in seconds.
            intake: as for ``Dispatcher.drain``.

        Returns:
            Whether every call ended by itself.
        """
        end = time.monotonic() + grace
        ended = self._wait_until(self.is_finished, grace)
        cancel_rest()
        if intake is not None:
            # while it is heard that the peer gives memory back
            self._wait_until(intake.is_read, max(_MOMENT_S, min(_READ_S, end - time.monotonic())))
            intake.stop()
            # what it had taken is run or refused now
            left = max(_MOMENT_S, end - time.monotonic())
            self._wait_until(lambda: not intake.hands_on(), left)
            ended &= self._wait_until(self.is_finished, end - time.monotonic())
            cancel_rest()
        # the answer to a call that was claimed just before may still be sent
        self._wait_until(self.is_finished, _MOMENT_S)
        return ended

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no tool runs, at most so long. Returns whether it is so."""
        return self._wait_until(self.is_idle, seconds)

    def _wait_until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait until a state is reached, at most so long. Returns whether it is."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)
        return True


def is_abandoned(worker: Worker) -> bool:
    """Whether a worker runs a call that has its answer already."""
    return isinstance(worker.job, Call) and worker.job.interruption is not None
