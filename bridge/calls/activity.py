"""What is going on in a process, for whoever waits for its end."""

from __future__ import annotations

from .call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from .async_calls import AsyncCalls
    from .job import Worker
    from .pool import Pool


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


def is_abandoned(worker: Worker) -> bool:
    """Whether a worker runs a call that has its answer already."""
    return isinstance(worker.job, Call) and worker.job.interruption is not None
