"""Whether calls are served any more, or every worker is held by calls that nobody awaits."""

from __future__ import annotations

import time

from .call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .async_calls import AsyncCalls
    from .pool import Pool

#: Every worker is held for a moment whenever many calls run out of time at once. From this time on
#: health says so, in seconds.
BLOCKED_S = 1.0


class StuckWatch:
    """Tells how long no worker has had a call that somebody awaits, and logs it.

    Args:
        pool: whose workers these are.
        stuck_after_s: so long every worker must be held until the process counts as stuck, in
            seconds; None: it never does.
        clock: tells the time; default: that of calls.
        async_calls: those that need no worker; default: there are none.
    """

    def __init__(
        self,
        pool: Pool,
        stuck_after_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        async_calls: AsyncCalls | None = None,
    ) -> None:
        self._pool = pool
        self._async_calls = async_calls
        self._clock = clock
        self._stuck_after_s = stuck_after_s
        #: Since when, in the episode that was logged; None: it serves, as far as the log knows.
        self._logged_since: float | None = None

    def status(self) -> str:
        """``serving``; ``blocked``: no worker is free, and nobody awaits what they run; ``stuck``:
        the same for ``stuck_after_s``. Any thread."""
        since = self._held_since()
        held_s = 0.0 if since is None else self._clock() - since
        if since is not None and self._stuck_after_s is not None and held_s >= self._stuck_after_s:
            return "stuck"
        return "blocked" if held_s >= BLOCKED_S else "serving"

    def look(self) -> str:
        """Log once where the workers are if the process is stuck, and once that it is not any more.

        One thread calls it, now and then.

        Returns:
            ``status()``.
        """
        status = self.status()
        if status == "stuck" and self._logged_since is None:
            self._logged_since = self._held_since() or self._clock()
            self._tell_stuck()
        elif status == "serving" and self._logged_since is not None:
            since, self._logged_since = self._logged_since, None
            self._tell_recovered(self._clock() - since)
        return status

    def _held_since(self) -> float | None:
        """When the last worker was abandoned, or since when no async call begins; None: neither."""
        since = self._workers_held_since()
        if since is None and self._async_calls is not None:
            since = self._async_calls.held_since()
        return since

    def _workers_held_since(self) -> float | None:
        pool = self._pool
        if not pool.workers or not pool.is_full:
            return None
        since = 0.0
        for worker in list(pool.workers):
            job = worker.job
            if not isinstance(job, Call) or job.interruption is None:
                return None
            since = max(since, job.interrupted_at)
        return since

    def _tell_stuck(self) -> None:
        from ..log import logger
        from .stacks import read_stacks, show_stacks

        logger().error(
            "stuck: no call is served any more. %s for %g s or longer by calls that nobody awaits. "
            "They are here:\n%s",
            "The event loop of async tools has been held"
            if self._workers_held_since() is None
            else f"Every worker ({len(self._pool.workers)}) has been held",
            self._stuck_after_s,
            show_stacks(read_stacks(self._pool)),
        )

    def _tell_recovered(self, held_s: float) -> None:
        from ..log import logger

        logger().warning("not stuck any more: calls are served again, after %.1f s", held_s)
