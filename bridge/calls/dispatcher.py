"""Requests to tools: find, bind, submit, run, cancel, and answer each exactly once.

A call is QUEUED, then RUNNING, then answered. **Who claims a call answers it**: the worker that
ran it, a cancel, its deadline, or the end of a drain. Exactly one of them succeeds.

A running call that is cancelled is answered at once; its thread goes on until the tool looks at
its context or returns. Until then the worker is *abandoned*: busy with a call that nobody awaits.
"""

from __future__ import annotations

import time

from ..errors import CallError, Cancelled, DeadlineExceeded, ShuttingDown
from .call import Call
from .deadlines import Deadlines, latest_start
from .failures import unhandled
from .runtime import CallRuntime
from .served_tool import not_found, serve
from .stuck import StuckWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from ..running_call import Elixir
    from ..tool import Tool
    from ..wire import Request
    from .activity import Activity
    from .async_calls import AsyncCalls
    from .interfaces import Intake, Peer
    from .interrupter import Interrupter
    from .job import Worker
    from .nesting import Nesting
    from .pool import Pool
    from .report import Report

#: How calls are ended, by whether the tool had started; and why by a drain.
_ENDED = (" before the tool started: it was queued", "; the tool had started and may go on")
_TOO_LATE = "the bridge is shutting down, and the call did not end within the grace"


class Dispatcher:
    """Serves tools on a pool for every transport.

    ``dispatch``, ``cancel``, ``expire`` and ``fail`` may be called by any thread and do not block.

    Args:
        tools: what is served, by name.
        pool: where it runs.
        elixir: the way back to the program that calls; None: there is none.
        python: the interpreter, as health checks show it.
        reports: what else the statistics contain, by name; each is called when they are asked for.
        stuck_after_s: when every worker has been held so long by calls that nobody awaits, in
            seconds, health says ``stuck``; None: never.
        interrupter: ends tools whose calls are over; default: those that are marked so.
        max_async: how many calls of asynchronous tools the event loop runs at once; 0: workers do.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        pool: Pool,
        *,
        elixir: Elixir | None = None,
        python: Mapping[str, Any] | None = None,
        reports: Mapping[str, Callable[[], Any]] | None = None,
        stuck_after_s: float | None = None,
        interrupter: Interrupter | None = None,
        max_async: int = 0,
    ) -> None:
        self.runtime = CallRuntime(pool.threads, elixir, interrupter)
        covers = self.runtime.interrupter.covers
        if any(tool.batch is not None for tool in tools.values()):
            from .batching import gather  # most programs have none

            tools = gather(tools, pool, max_async > 0)
        self.tools = serve(tools, pool.new_serial_queue, covers, max_async > 0)
        self.pool, self.draining, self.python = pool, False, dict(python or {})
        #: Calls that need no worker; None: there is no tool for it.
        self.async_calls: AsyncCalls | None = None
        if any(tool.on_loop for tool in self.tools.values()):
            from .async_calls import AsyncCalls

            self.async_calls = AsyncCalls(pool, max_async)
        #: Calls without an answer, by key; see ``CallRuntime``. Others may look.
        self.calls: dict[int, Call] = self.runtime.calls
        self._deadlines = Deadlines(self.calls, self._expire)
        #: Calls that are just being interrupted, until their answer is sent.
        self._ending: set[Call] = set()
        #: How many calls were ended so, by the code of the error.
        self._interrupted: dict[str, int] = {}
        self._nesting: Nesting | None = None
        #: Whether calls are served. The main thread looks now and then.
        self.stuck = StuckWatch(pool, stuck_after_s, async_calls=self.async_calls)
        self._began, self._others = time.monotonic(), dict(reports or {})

    def dispatch(self, request: Request, peer: Peer) -> None:
        """Start a call. Whatever happens, its peer gets exactly one answer under its key.

        Args:
            request: what is asked for. Its timeout counts from now.
            peer: who asks; the tool runs on another thread, and answers there.
        """
        call = self.admit(request, peer, time.monotonic())
        if call is None:
            return
        try:
            self.start(call)
        except Exception as error:
            # where one message of a peer is handled; if a worker has the call, it answers
            self._refuse(call, unhandled(call.tool.name, error))

    def start(self, call: Call) -> None:
        """Have an admitted call run on a worker, or refuse it: then it is answered."""
        try:
            # only now, so that a drain which has begun either is seen here or sees the call
            if call.outer is not None:
                # in a drain, too: that one may end
                self.nesting.start(call, call.outer, self._place(call))
            elif self.draining:
                raise ShuttingDown("the bridge is shutting down", started=False)
            else:
                (self.pool if self.async_calls is None else self._place(call)).submit(call)
        except CallError as error:
            self._refuse(call, error)
            return
        if call.deadline is not None:
            self._deadlines.add(latest_start(call.arrived, call.deadline), call.key)

    def watch_deadline(self, call: Call) -> None:
        """End the call when its time is up."""
        if call.deadline is not None:
            self._deadlines.add(call.deadline, call.key)

    def catch_up(self) -> None:
        """End what is overdue where there is no thread that would. The main thread, now and then."""
        self._deadlines.catch_up()
        self.runtime.interrupter.catch_up()

    def admit(self, request: Request, peer: Peer, arrived: float) -> Call | None:
        """Find the tool of a request, and bind its arguments.

        Args:
            request: what is asked for.
            peer: who asks.
            arrived: when the request came, an instant of ``time.monotonic()``; its timeout counts
                from there.

        Returns:
            The call, which is in flight from now on and must be run or refused. None if there is
            no such tool, or the arguments do not fit: that was answered.
        """
        try:
            tool = self.tools.get(request.method)
            if tool is None:
                raise not_found(request.method, self.tools)
            options = request.options
            streamed = options is not None and options.credit is not None
            if streamed != tool.streaming and not (streamed and peer.plain_streams):
                raise tool.wrong_form()
            args: Any = request.params
            kwargs: dict[str, Any] = {}
            if type(args) is not list or len(args) != tool.arity:  # else bind() would say the same
                args, kwargs = tool.bind(args)
        except CallError as error:
            peer.send_error(request.msgid, error)
            return None
        except Exception as error:
            # where one message of a peer is handled
            peer.send_error(request.msgid, unhandled(request.method, error))
            return None
        call = Call(self.runtime, request, tool, args, kwargs, peer, arrived)
        if request.options is not None and request.options.within is not None:
            call.outer = self.calls.get(request.options.within)
        self.calls[call.key] = call
        return call

    def run_here(
        self,
        call: Call,
        worker: Worker | None,
        now: float,
        relieve: Callable[[Worker], object] | None = None,
    ) -> bool:
        """Run an admitted call on the calling thread, a worker of the pool.

        For transports whose requests occupy a worker before their tool is known.

        Args:
            call: what to run.
            worker: whose thread this is; None if it has lost its place in the pool.
            now: an instant of ``time.monotonic()``.
            relieve: gives the place of the worker to a new thread; default: ``pool.relieve``.

        Returns:
            False if it needs no worker, as many calls of the tool run as may, or the place was lost.
            Then the call was queued or refused, and another thread answers it; the calling one may
            wait for that, as it is no worker any more.
        """
        serial, place = call.serial, self._place(call)
        if place is not self.pool or worker is None or (serial and not serial.try_enter()):
            try:
                place.submit(call)
            except CallError as error:
                self._refuse(call, error)
            else:
                if worker is not None:
                    (relieve or self.pool.relieve)(worker)
            return False
        worker.job = call
        try:
            call.run(worker, now)
        finally:
            if serial is not None:
                self.pool.leave(serial)
        return True

    def cancel(self, key: int) -> bool:
        """End a call whose caller does not want the answer any more. False if it has one."""
        return self._interrupt(key, Cancelled, "the caller cancelled")

    def expire(self, key: int) -> bool:
        """End a call whose time has run out. False if it has an answer."""
        return self._interrupt(key, DeadlineExceeded, "the time of the call ran out")

    def fail(self, key: int, error: CallError) -> bool:
        """End a call with ``error``, because its peer broke a rule. False if it has ended."""
        return self._end(key, lambda started: error)

    def cancel_all(self, reason: str) -> None:
        """Answer everything that is in flight ``unavailable``, with ``reason`` in the message."""
        for key in list(self.calls):
            self._interrupt(key, ShuttingDown, reason)

    def refuse_new(self) -> None:
        """Refuse every call that comes from now on. Any thread; again: no effect."""
        self.draining = True

    def forked(self, leave: Callable[[], NoReturn]) -> None:
        """In a process that a tool has forked: answer no call, and ``leave`` where one would be."""
        self.runtime.forked(leave)

    def drain(self, grace: float, intake: Intake | None = None) -> bool:
        """Accept nothing more and wait until all is answered. Not on a worker: it would hang.

        Args:
            grace: how long to wait, in seconds. What is left is answered ``unavailable``.
            intake: where requests come from that may be on their way here. It is stopped once
                all calls have ended; until then it is heard, for their cancels and credit.

        Returns:
            Whether every call ended by itself.
        """
        self.refuse_new()
        return self._activity.drain(lambda: self.cancel_all(_TOO_LATE), grace, intake)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait, at most so long, until no worker runs a tool, abandoned ones included."""
        return self._activity.wait_until_idle(seconds)

    # -- what is asked about the process ----------------------------------------------------

    def describe_tools(self) -> list[dict[str, Any]]:
        """All tools by name, as ``$/tools`` shows them."""
        return self._report.tools()

    def health(self) -> dict[str, Any]:
        """Whether it serves, and has room, as ``$/health`` shows it."""
        return self._report.health(self.draining)

    def stats(self) -> dict[str, Any]:
        """What was counted, as ``$/stats`` shows it, and ``health()``."""
        interrupts = {"raised": self.runtime.interrupter.count, "ended": self.runtime.ended}
        return self._report.stats(self.draining, self._interrupted, interrupts)

    def stacks(self) -> dict[str, Any]:
        """Where every tool is now, as ``$/stacks`` shows it."""
        return self._report.stacks()

    # -- parts: what no call needs that comes from outside is loaded when it is asked for -----

    @property
    def nesting(self) -> Nesting:
        """What has calls run that are made within others, while these wait for their callers."""
        if self._nesting is None:
            from .nesting import Nesting

            with self.runtime.interrupting:
                self._nesting = self._nesting or Nesting(self.pool, self._refuse)
        return self._nesting

    @property
    def _activity(self) -> Activity:
        from .activity import Activity

        return Activity(self.pool, self.async_calls, self.calls, self._ending)

    @property
    def _report(self) -> Report:
        from .report import Report

        told = self.tools, self.pool, self.async_calls, self.calls, self.python, self.stuck
        return Report(*told, self._others, self._began)

    def _place(self, call: Call) -> Pool | AsyncCalls:
        tasks = self.async_calls
        return tasks if tasks is not None and call.tool.on_loop else self.pool

    def _refuse(self, call: Call, error: CallError) -> None:
        if call.claim():
            call.peer.send_error(call.key, error)

    def _interrupt(self, key: int, kind: type[CallError], reason: str) -> bool:
        return self._end(key, lambda started: kind(reason + _ENDED[started], started=started))

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
            try:
                call.interrupt(error)
                if not self._place(call).discard(call) and call.outer is not None:
                    self.nesting.discard(call)
            finally:
                call.peer.send_error(key, error)
            if call.started and call.tool.interruptible:
                self.runtime.interrupter.end(call, call.tool.tool)
            return True
        finally:
            self._ending.discard(call)

    def _expire(self, key: int) -> None:
        call, now = self.calls.get(key), time.monotonic()
        if call is None or call.deadline is None or latest_start(call.arrived, call.deadline) > now:
            return  # a later call has the same key
        if call.started and call.deadline > now:
            self._deadlines.add(call.deadline, key)
        else:  # which a worker may begin just now: it ends as begun then, a little before its time
            self.expire(key)
