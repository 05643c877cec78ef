"""What is told about a process that serves: its tools, its health, what it counted."""

from __future__ import annotations

import time

from ..resident_memory import resident_bytes
from .activity import is_abandoned
from .call import Call
from .execution import Running
from .stats import ToolStats, add_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .async_calls import AsyncCalls
    from .job import Worker
    from .pool import Pool
    from .served_tool import ServedTool
    from .stuck import StuckWatch


class Report:
    """Reads what others write. Any thread may ask, at any time; nothing waits for it.

    Args:
        tools: what is served, by name.
        pool: where it runs.
        async_calls: those that need no worker; None: there are none.
        calls: those without an answer, by key.
        python: the interpreter.
        stuck: knows whether calls are served.
        others: what else the statistics contain, by name; each is called when they are asked for.
        began: since when it serves, an instant of ``time.monotonic()``.
    """

    def __init__(
        self,
        tools: Mapping[str, ServedTool],
        pool: Pool,
        async_calls: AsyncCalls | None,
        calls: Mapping[int, Call],
        python: Mapping[str, Any],
        stuck: StuckWatch,
        others: Mapping[str, Callable[[], Any]],
        began: float,
    ) -> None:
        self._tools = tools
        self._pool = pool
        self._async_calls = async_calls
        self._calls = calls
        self._python = python
        self._stuck = stuck
        self._others = others
        self._began = began

    def tools(self) -> list[dict[str, Any]]:
        """All tools, in the order of their names."""
        return [self._tools[name].tool.describe() for name in sorted(self._tools)]

    def health(self, draining: bool) -> dict[str, Any]:
        """Whether it serves, and has room. ``abandoned``: threads whose caller has gone.

        ``async_running``: calls that occupy no worker, ``async_abandoned`` included. ``rss_bytes``:
        the memory of this process, without its children; None where that cannot be known.
        """
        pool, queued = self._pool, self._pool.queued
        busy = sum(worker.job is not None for worker in pool.workers)
        abandoned = sum(is_abandoned(worker) for worker in pool.workers)
        replaced = len(pool.replacements.workers)
        elsewhere = sum(worker.job is not None for worker in pool.guests)
        tasks = self._async_calls
        running, left = (0, 0) if tasks is None else (tasks.occupied, tasks.abandoned)
        return {
            "status": "draining" if draining else self._stuck.status(),
            "in_flight": queued + busy + elsewhere - abandoned + max(0, running - left),
            "queued": queued,
            "max_queue": pool.max_queue,
            "max_workers": pool.max_workers,
            "busy": busy,
            "abandoned": abandoned + replaced,
            "max_async": 0 if tasks is None else tasks.limit,
            "async_running": running,
            "async_abandoned": left,
            "rss_bytes": resident_bytes() or None,
            "python": self._python,
        }

    def stats(
        self, draining: bool, interrupted: Mapping[str, int], interrupts: Mapping[str, int]
    ) -> dict[str, Any]:
        """``health()`` and what was counted: by tool, by worker, interrupted calls by code.

        ``interrupts``: in how many tools of such calls an exception was raised, and how many ended
        with it.

        ``readers``: threads that run quick calls on their own, and are none of the workers.
        """
        pool, now = self._pool, time.monotonic()
        accounts = [*pool.everyone(), pool.replacements.retired]
        if self._async_calls is not None:
            accounts.append(self._async_calls.account)
        in_flight: dict[str, int] = {}
        for call in list(self._calls.values()):
            in_flight[call.tool.name] = in_flight.get(call.tool.name, 0) + 1
        tools, nothing = {}, ToolStats().describe()
        counted = set().union(*(list(account.stats) for account in accounts))
        for name, tool in self._tools.items():
            total = nothing  # of many tools, a few are called
            if tool in counted:
                parts = (account.stats.get(tool) for account in accounts)
                total = add_up(part for part in parts if part is not None).describe()
            tools[name] = {**total, "in_flight": in_flight.get(name, 0)}
        return {
            **self.health(draining),
            "uptime_s": now - self._began,
            "calls": sum(tool["calls"] for tool in tools.values()),
            "errors": sum(tool["errors"] for tool in tools.values()),
            "interrupted": dict(interrupted),
            "interrupts": dict(interrupts),
            "tools": tools,
            "workers": [_describe_worker(worker, now) for worker in pool.workers],
            "readers": [_describe_worker(worker, now) for worker in pool.guests],
            **{name: report() for name, report in self._others.items()},
        }

    def stacks(self) -> dict[str, Any]:
        from .stacks import read_stacks  # not each report needs it

        return read_stacks(self._pool)


def _describe_worker(worker: Worker, now: float) -> dict[str, Any]:
    job = worker.job
    running = isinstance(job, Running)
    return {
        "name": worker.name,
        "calls": worker.jobs,
        "busy_s": worker.busy_s + (now - worker.since if running else 0.0),
        "tool": job.running_tool if isinstance(job, Running) else None,
        "abandoned": is_abandoned(worker),
    }
