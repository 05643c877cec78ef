"""Requests to tools: find, bind, submit, run, cancel, and answer each exactly once.

A call is QUEUED, then RUNNING, then answered. **Who claims a call answers it**: the worker that
ran it, a cancel, its deadline, or the end of a drain. Exactly one of them succeeds.

A running call that is cancelled is answered at once; its thread goes on until the tool looks at
its context or returns. Until then the worker is *abandoned*: busy with a call that nobody awaits.
"""

from __future__ import annotations

import time

from ..errors import (
    CallError,
    Cancelled,
    DeadlineExceeded,
    InvalidParams,
    ShuttingDown,
    ToolNotFound,
    shorten,
)
from .call import Call
from .deadlines import Deadlines
from .runtime import CallRuntime
from .served_tool import ServedTool
from .stats import add_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from ..context import Elixir
    from ..tool import Tool
    from ..wire.messages import Request
    from .interfaces import Peer
    from .job import Worker
    from .pool import Pool

#: How often the end of the process looks whether a call has ended.
_LOOK_S = 0.002
_MOMENT_S = 0.1


class Dispatcher:
    """Serves tools on a pool for every transport.

    ``dispatch``, ``cancel``, ``expire`` and ``fail`` may be called by any thread and do not block.

    Args:
        tools: what is served, by name.
        pool: where it runs.
        elixir: the way back to the program that calls; None: there is none.
        python: the interpreter, as health checks show it.
        reports: what else the statistics contain, by name; each is called when they are asked for.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        pool: Pool,
        *,
        elixir: Elixir | None = None,
        python: Mapping[str, Any] | None = None,
        reports: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self.tools = {
            name: ServedTool(tool, pool.new_serial_queue() if tool.serial else None)
            for name, tool in tools.items()
        }
        self.pool = pool
        self.runtime = CallRuntime(elixir)
        self.draining = False
        self.python = dict(python or {})
        self._reports = dict(reports or {})
        #: Calls without an answer, by key; see ``CallRuntime``. Others may look.
        self.calls: dict[int, Call] = self.runtime.calls
        self._deadlines = Deadlines(self.calls, self._expire)
        #: Calls that are just being interrupted, until their answer is sent.
        self._ending: set[Call] = set()
        self._interrupted: dict[str, int] = {}
        self._began = time.monotonic()

    def dispatch(self, request: Request, peer: Peer) -> None:
        """Start a call. Whatever happens, ``peer`` gets exactly one answer under its id."""
        call = self.admit(request, peer, time.monotonic())
        if call is not None:
            self.start(call)

    def start(self, call: Call) -> None:
        """Have an admitted call run on a worker, or refuse it."""
        try:
            # only now, so that a drain which has begun either is seen here or sees the call
            if self.draining:
                raise ShuttingDown("the bridge is shutting down", started=False)
            self.pool.submit(call)
        except CallError as error:
            self._refuse(call, error)
            return
        if call.deadline is not None:
            self.watch_deadline(call)

    def watch_deadline(self, call: Call) -> None:
        """End the call when its time is up."""
        if call.deadline is not None:
            self._deadlines.add(call.deadline, call.key)

    def admit(self, request: Request, peer: Peer, arrived: float) -> Call | None:
        """Find the tool of a request, and bind its arguments; None if that failed and was answered.

        ``arrived``: when the request came (``time.monotonic()``); its timeout counts from there.
        """
        try:
            tool = self.tools.get(request.method)
            if tool is None:
                raise self._not_found(request.method)
            if tool.streaming and (request.options is None or request.options.credit is None):
                raise InvalidParams(
                    f"{tool.name} streams: call it with the option stream (Bridge.stream/4), "
                    "over gRPC with CallStream, from Snakepit with execute_stream",
                    started=False,
                )
            args: Any = request.params
            kwargs: dict[str, Any] = {}
            if type(args) is not list or len(args) != tool.arity:  # else bind() would say the same
                args, kwargs = tool.bind(args)
        except CallError as error:
            peer.send_error(request.msgid, error)
            return None
        call = Call(self.runtime, request, tool, args, kwargs, peer, arrived)
        self.calls[call.key] = call
        return call

    def run_here(self, call: Call, worker: Worker | None, now: float) -> bool:
        """Run an admitted call on the calling thread, which is ``worker``, a thread of the pool.

        For transports whose requests occupy a worker before their tool is known. False: another
        call of the tool runs, or the thread has lost its place in the pool (None). Then the call
        was queued, or refused, and some other thread answers it; the calling one may wait for
        that, as it is no worker any more.
        """
        serial = call.serial
        if worker is None or (serial is not None and not serial.try_enter()):
            try:
                self.pool.submit(call)
            except CallError as error:
                self._refuse(call, error)
            else:
                if worker is not None:
                    self.pool.relieve(worker)
            return False
        worker.job = call
        try:
            call.run(worker, now)
        finally:
            if serial is not None:
                self.pool.leave(serial)
        return True

    def cancel(self, key: int) -> bool:
        """The caller does not want the answer any more. False if the call has one."""
        return self._interrupt(key, Cancelled, "the caller cancelled")

    def expire(self, key: int) -> bool:
        """The time of the caller has run out. False if the call has an answer."""
        return self._interrupt(key, DeadlineExceeded, "the time of the call ran out")

    def fail(self, key: int, error: CallError) -> bool:
        """End a call with ``error``, because its peer broke a rule. False if it has ended."""
        return self._end(key, lambda started: error)

    def cancel_all(self, reason: str) -> None:
        """Answer everything that is in flight ``unavailable``."""
        for key in list(self.calls):
            self._interrupt(key, ShuttingDown, reason)

    def is_in_flight(self, key: int) -> bool:
        """Whether a call has no answer yet."""
        return key in self.calls

    def refuse_new(self) -> None:
        """Refuse every call that comes from now on. Any thread; again: no effect."""
        self.draining = True

    def forked(self, leave: Callable[[], NoReturn]) -> None:
        """In a process that a tool has forked: answer no call, and ``leave`` where one would be."""
        self.runtime.forked(leave)

    def drain(self, grace: float) -> bool:
        """Accept nothing more and wait, at most ``grace`` seconds, until all is answered.

        What is not by then is answered ``unavailable``. Returns whether every call ended by
        itself. Not on a worker: it would wait for itself.
        """
        self.refuse_new()
        ended = _wait(lambda: not self._unfinished(), grace)
        self.cancel_all("the bridge is shutting down, and the call did not end within the grace")
        _wait(lambda: not self._ending, _MOMENT_S)
        return ended

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait, at most so long, until no worker runs a tool, abandoned ones included."""
        return _wait(lambda: all(worker.job is None for worker in self._everyone()), seconds)

    def _unfinished(self) -> bool:
        """Whether a call has its answer not sent yet. A claimed one may still be encoded."""
        return bool(self.calls or self._ending or self.pool.queued) or any(
            worker.job is not None and not self._is_abandoned(worker) for worker in self._everyone()
        )

    # -- what is asked about the process ----------------------------------------------------

    def describe_tools(self) -> list[dict[str, Any]]:
        """All tools, by name."""
        return [self.tools[name].tool.describe() for name in sorted(self.tools)]

    def health(self) -> dict[str, Any]:
        """Whether it serves, and has room. ``abandoned``: workers whose caller has gone."""
        workers = self.pool.workers
        queued = self.pool.queued
        busy = sum(worker.job is not None for worker in workers)
        abandoned = sum(self._is_abandoned(worker) for worker in workers)
        elsewhere = sum(worker.job is not None for worker in self.pool.guests)
        return {
            "status": "draining" if self.draining else "serving",
            "in_flight": queued + busy + elsewhere - abandoned,
            "queued": queued,
            "max_queue": self.pool.max_queue,
            "max_workers": self.pool.max_workers,
            "busy": busy,
            "abandoned": abandoned,
            "python": self.python,
        }

    def stats(self) -> dict[str, Any]:
        """``health()`` and what was counted: by tool, by worker, interrupted calls by code.

        ``readers``: threads that run quick calls on their own, and are none of the workers.
        """
        workers = self._everyone()
        now = time.monotonic()
        in_flight: dict[str, int] = {}
        for call in list(self.calls.values()):
            in_flight[call.tool.name] = in_flight.get(call.tool.name, 0) + 1
        tools = {}
        for name, tool in self.tools.items():
            parts = (worker.stats.get(tool) for worker in workers)
            total = add_up(part for part in parts if part is not None)
            tools[name] = {**total.describe(), "in_flight": in_flight.get(name, 0)}
        return {
            **self.health(),
            "uptime_s": now - self._began,
            "calls": sum(tool["calls"] for tool in tools.values()),
            "errors": sum(tool["errors"] for tool in tools.values()),
            "interrupted": dict(self._interrupted),
            "tools": tools,
            "workers": [self._describe_worker(worker, now) for worker in self.pool.workers],
            "readers": [self._describe_worker(worker, now) for worker in self.pool.guests],
            **{name: report() for name, report in self._reports.items()},
        }

    # -- parts ------------------------------------------------------------------------------

    def _refuse(self, call: Call, error: CallError) -> None:
        if call.claim():
            call.peer.send_error(call.key, error)

    def _interrupt(self, key: int, kind: type[CallError], reason: str) -> bool:
        def error(started: bool) -> CallError:
            suffix = (
                "; the tool had started and may go on" if started else " before the tool started"
            )
            return kind(reason + suffix, started=started)

        return self._end(key, error)

    def _end(self, key: int, make_error: Callable[[bool], CallError]) -> bool:
        """Answer a call in the place of its worker. False if it has an answer."""
        call = self.calls.get(key)
        if call is None:
            return False
        self._ending.add(call)
        try:
            if not call.claim():
                return False
            # read after the claim: a worker that starts the call later finds it answered
            error = make_error(call.started)
            with self.runtime.interrupting:
                self._interrupted[error.code] = self._interrupted.get(error.code, 0) + 1
            call.interrupt(error)
            self.pool.discard(call)
            call.peer.send_error(key, error)
            return True
        finally:
            self._ending.discard(call)

    def _expire(self, key: int) -> None:
        call = self.calls.get(key)
        if call is None or call.deadline is None or call.deadline > time.monotonic():
            return  # a later call has the same key
        self.expire(key)

    def _not_found(self, name: str) -> CallError:
        names = sorted(self.tools)
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        return ToolNotFound(f"there is no tool {shorten(name)}; there are {shown}", started=False)

    def _everyone(self) -> list[Worker]:
        return [*self.pool.workers, *self.pool.guests]

    def _is_abandoned(self, worker: Worker) -> bool:
        return isinstance(worker.job, Call) and worker.job.interruption is not None

    def _describe_worker(self, worker: Worker, now: float) -> dict[str, Any]:
        job = worker.job
        running = isinstance(job, Call)
        return {
            "name": worker.name,
            "calls": worker.jobs,
            "busy_s": worker.busy_s + (now - worker.since if running else 0.0),
            "tool": job.tool.name if isinstance(job, Call) else None,
            "abandoned": self._is_abandoned(worker),
        }


def _wait(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until the state is reached, at most so long. Only the end of the process waits so."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_S)
    return True
