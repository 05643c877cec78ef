"""Calls that are gathered, so that a tool does many at once: ``@tool(batch=…)``.

Each call is a task of the event loop and waits there, so it occupies no worker; a batch is a job of
the pool. Everything but the job runs on the loop's thread: there is no lock.

Guarantees:

- A call gets the result of its own, an error of its own, or that of its whole batch.
- One that ends while it waits is in no batch; one that ends later changes nothing for the others.
- Where a batch could begin, a call waits for others at most ``wait_ms``, and only if those of the
  last batch, and those that came meanwhile, were more than wait now. One caller alone never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context as Variables
from typing import Any

from ..errors import CallError, ToolFailed
from ..tool import Tool
from .execution import Running, execute
from .failures import unprepared
from .interfaces import CallView, Peer, Sink
from .job import Job, Worker
from .pool import Pool
from .tool_threads import ToolThreads, copy_values


def gather(tools: Mapping[str, Tool], pool: Pool, loop: bool) -> dict[str, Tool]:
    """The same tools; those that are made for batches with functions that are called for one call.

    Args:
        tools: by name.
        pool: where batches run.
        loop: whether calls of asynchronous tools are tasks of the event loop. If not, a call has a
            worker anyway, and is a batch of its own.
    """
    return {
        name: tool if tool.batch is None else _gathered(tool, pool, loop)
        for name, tool in tools.items()
    }


def _gathered(tool: Tool, pool: Pool, loop: bool) -> Tool:
    if loop:
        return tool.calling(Batches(tool, pool).call, is_async=True, max_concurrency=None)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        columns, named = _columns(tool, [_row(tool, args, kwargs)])
        return tool.function(*columns, **named)

    def end(results: Any) -> Any:
        receiver = _Receiver(tool.name, 1)
        receiver.send_result(0, results)
        return _result(receiver.outcomes[0])

    def call(*args: Any, **kwargs: Any) -> Any:
        return end(begin(args, kwargs))

    async def call_later(*args: Any, **kwargs: Any) -> Any:
        return end(await begin(args, kwargs))

    return tool.calling(call_later if tool.is_async else call)


class Batches:
    """The calls of one tool that wait, and its batches.

    Args:
        tool: whose function is called for a batch.
        pool: where.
    """

    def __init__(self, tool: Tool, pool: Pool) -> None:
        self._tool = tool
        self._pool = pool
        self._size = tool.batch or 1
        self._limit = tool.max_concurrency or 1
        self._running = 0
        self._waiting: deque[_Entry] = deque()
        #: So many calls are likely to come: fewer may wait for others.
        self._expected = 1
        #: Ends the waiting for others; None: nobody waits for them.
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        """The result of one call, with its arguments. Raises what the tool has for it instead."""
        loop = asyncio.get_running_loop()
        entry = _Entry(_row(self._tool, args, kwargs), loop.create_future())
        self._waiting.append(entry)
        self._look(loop)
        try:
            outcome = await entry.outcome
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise
        return _result(outcome)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what batches may begin, or wait for more calls."""
        while self._waiting and self._running < self._limit:
            if len(self._waiting) < self._expected:
                if self._timer is None:
                    self._timer = loop.call_later(self._tool.wait_s, self._give_up, loop)
                return
            self._begin(loop)

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody else has come."""
        self._timer = None
        self._expected = max(1, len(self._waiting))
        self._look(loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        size = min(self._size, len(self._waiting))
        entries = [self._waiting.popleft() for _ in range(size)]
        self._running += 1
        batch = _Batch(
            self._tool,
            [entry.row for entry in entries],
            self._pool.threads,
            lambda outcomes: loop.call_soon_threadsafe(self._ended, loop, entries, outcomes),
        )
        try:
            self._pool.submit(batch)
        except CallError as error:
            self._ended(loop, entries, [(None, error)] * size)

    def _ended(
        self,
        loop: asyncio.AbstractEventLoop,
        entries: list[_Entry],
        outcomes: list[tuple[Any, BaseException | None]],
    ) -> None:
        self._running -= 1
        self._expected = min(self._size, len(entries) + len(self._waiting))
        for entry, outcome in zip(entries, outcomes, strict=True):
            if not entry.outcome.done():
                entry.outcome.set_result(outcome)
        self._look(loop)


class _Entry:
    """A call that waits: its arguments in the order of the parameters, and what becomes of it."""

    __slots__ = ("row", "outcome")

    def __init__(
        self, row: list[Any], outcome: asyncio.Future[tuple[Any, BaseException | None]]
    ) -> None:
        self.row = row
        self.outcome = outcome


class _Batch(Job, Running):
    """Calls the function of a tool for many calls, on a worker.

    Args:
        tool: whose function.
        rows: the arguments of each call.
        threads: those of the pool.
        ended: is given what has become of each call, on the worker.
    """

    __slots__ = ("name", "function", "deferred", "_tool", "_rows", "_threads", "_ended")

    serial = None

    def __init__(
        self,
        tool: Tool,
        rows: list[list[Any]],
        threads: ToolThreads,
        ended: Callable[[list[tuple[Any, BaseException | None]]], object],
    ) -> None:
        self.name = tool.name
        self.function = tool.function
        self.deferred = tool.is_async
        self._tool = tool
        self._rows = rows
        self._threads = threads
        self._ended = ended

    def run(self, worker: Worker, now: float) -> float:
        receiver = _Receiver(self.name, len(self._rows))
        try:
            variables = worker.variables
            if variables is None:
                variables = worker.variables = self._threads.begin()
        except BaseException as error:
            receiver.send_error(0, unprepared(error))
        else:
            own: Variables = variables.copy()
            copy_values(own, self._threads.copied)
            columns, named = _columns(self._tool, self._rows)
            self._rows = []
            execute(self, self, columns, named, own, receiver, 0)
        self._ended(receiver.outcomes)
        return time.monotonic()

    @property
    def running_tool(self) -> str:
        return self.name

    def claim(self) -> bool:
        return True  # nobody else has outcomes for its calls

    def finish(self, value: Any) -> Any:
        return self._threads.get_loop().run(value, lambda cancel: None)

    def answered_elsewhere(self, failure: BaseException | None) -> None:
        """Never: see ``claim``."""


class _Receiver(Peer):
    """Takes what a batch returns, or its error, apart for its calls."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self.outcomes: list[tuple[Any, BaseException | None]] = []

    def send_result(self, key: int, result: Any) -> None:
        parts = None
        if not isinstance(result, str | bytes | bytearray | Mapping) and hasattr(result, "__len__"):
            parts = list(result)
        if parts is None or len(parts) != self._count:
            what = type(result).__name__ if parts is None else f"{len(parts)} results"
            self.send_error(
                key,
                ToolFailed(
                    f"{self._name} was called for {self._count} calls at once and returned {what}; "
                    "it must return a list with the result of each",
                    started=True,
                ),
            )
            return
        self.outcomes = [
            (None, part) if isinstance(part, BaseException) else (part, None) for part in parts
        ]

    def send_error(self, key: int, error: CallError) -> None:
        self.outcomes = [(None, error)] * self._count

    def open_stream(self, call: CallView) -> Sink:
        raise NotImplementedError  # tools for batches do not stream

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        """There is no call to which it would belong."""

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        """There is no call to which it would belong."""


def _result(outcome: tuple[Any, BaseException | None]) -> Any:
    result, error = outcome
    if error is None:
        return result
    # one error may be that of many calls, and what is raised keeps frames
    raise error.again() if isinstance(error, CallError) else error


def _row(tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments of one call, which fit, in the order of the parameters."""
    rest = tool.parameters[len(args) :]
    return [*args, *(kwargs.get(parameter.name, parameter.default) for parameter in rest)]


def _columns(tool: Tool, rows: list[list[Any]]) -> tuple[list[Any], dict[str, Any]]:
    """A list for each parameter, with the argument of each call: by position, and by name."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    named = [parameter.kind == "named" for parameter in tool.parameters]
    first = named.index(True) if True in named else len(named)
    names = [parameter.name for parameter in tool.parameters[first:]]
    return columns[:first], dict(zip(names, columns[first:], strict=True))
