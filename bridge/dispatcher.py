"""Requests to tools: find, bind, submit, run, cancel, and answer each exactly once.

A call is QUEUED, then RUNNING, then answered. **Who claims a call answers it**: the worker that
ran it, a cancel, its deadline, or the end of a drain. Exactly one of them succeeds.

A running call that is cancelled is answered at once; its thread goes on until the tool looks at
its context or returns. Until then the worker is *abandoned*: busy with a call that nobody awaits.
"""

from __future__ import annotations

import threading
import time
from contextvars import Context as Variables

from . import event_loop
from .context import Context, running_call
from .deadlines import Deadlines
from .errors import (
    CallError,
    Cancelled,
    DeadlineExceeded,
    EncodeError,
    InvalidParams,
    ShuttingDown,
    ToolFailed,
    ToolNotFound,
    shorten,
)
from .pool import Worker
from .tally import Tally, add_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, NoReturn, Protocol

    from .context import Elixir
    from .pool import Lane, Pool
    from .tool import Tool
    from .wire.messages import Request

    class Sink(Protocol):
        """The way of one call's items to its peer, at the peer's pace. For the call's worker."""

        def wait(self) -> None:
            """Block until the peer takes another item, or the call is interrupted."""

        def send(self, item: Any) -> None:
            """Send an item. Raises ``EncodeError``, and has then sent nothing."""

    class Peer(Protocol):
        """Where the outcome of a call goes: a transport. Any thread may call any of these."""

        def send_result(self, key: int, result: Any) -> None:
            """Answer the call. Raises ``EncodeError``, and has then sent nothing."""

        def send_error(self, key: int, error: CallError) -> None:
            """Answer the call. Never raises."""

        def open_stream(self, call: Call) -> Sink:
            """Where the items of a streaming call go."""

        def send_progress(
            self, key: int, done: float, total: float | None, text: str | None
        ) -> None:
            """Send it, or drop it if the peer does not read. Never blocks, never raises."""

        def send_log(
            self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
        ) -> object:
            """Send it, or drop it if the peer does not read. Never blocks, never raises."""


#: A traceback on the wire has at most this many lines, the innermost ones.
_MAX_TRACEBACK_LINES = 100
#: How often the end of the process looks whether a call has ended.
_LOOK_S = 0.002
_MOMENT_S = 0.1


class Call:
    """One call, from its request to its answer; what ``Context`` shows to the tool."""

    # what most calls leave as it is, so that making one stays cheap
    deadline: float | None = None
    session: str | None = None
    metadata: Mapping[str, str] = {}
    lane: Lane | None = None
    #: May the tool have begun? Set before the worker looks whether the call was answered.
    started = False
    #: Why nobody waits for the call any more; None while somebody does.
    interruption: CallError | None = None
    _callbacks: list[Callable[[], object]] | None = None
    _event: threading.Event | None = None

    def __init__(
        self,
        dispatcher: Dispatcher,
        request: Request,
        tool: Tool,
        args: list[Any],
        kwargs: dict[str, Any],
        peer: Peer,
        arrived: float,
    ) -> None:
        self.key = request.msgid
        self.tool = tool
        self.peer = peer
        self.arrived = arrived
        self._unanswered = [True]
        self._args = args
        self._kwargs = kwargs
        self._dispatcher = dispatcher
        if dispatcher.lanes:
            self.lane = dispatcher.lanes.get(tool.name)
        options = request.options
        if options is not None:
            if options.timeout_s is not None:
                self.deadline = arrived + options.timeout_s
            self.session = options.session
            if options.metadata is not None:
                self.metadata = options.metadata

    def __repr__(self) -> str:
        return f"<Call {self.key} of {self.tool.name}>"

    def claim(self) -> bool:
        """Is the answer the asker's to give? True once; whoever gets it must answer."""
        try:
            self._unanswered.pop()  # atomic, with the GIL and without
        except IndexError:
            return False
        # nobody else can be here under this key: it is in flight until the answer is sent
        self._dispatcher.calls.pop(self.key, None)
        return True

    # -- on the worker ----------------------------------------------------------------------

    def run(self, worker: Worker, now: float) -> float:
        """Run the tool and answer, unless somebody has. The pool calls it, on a worker."""
        self.started = True
        if not self._unanswered:
            return now
        failure: BaseException | None = None
        result: Any = None
        try:
            result = Variables().run(self._invoke)
        except BaseException as error:
            # the one place where a tool's exceptions end, SystemExit and KeyboardInterrupt too
            failure = error
            if isinstance(error, MemoryError):
                # its frames hold what the tool took; without it there is no room for an answer
                error.__traceback__ = error.__context__ = None
        if self.claim():
            if failure is None:
                failure = answer(self.peer, self.key, self.tool, result)
            else:
                self.peer.send_error(self.key, describe_failure(failure))
        failed = failure is not None
        failure = None  # or its traceback would keep this frame, and what the call holds, alive
        ended = time.monotonic()
        tally = worker.tallies.get(self.tool)
        if tally is None:
            tally = worker.tallies[self.tool] = Tally()
        tally.add(max(0.0, now - self.arrived), ended - now, failed)
        self.tool.pace.note(ended - now)
        return ended

    def share(self, unanswered: list[bool]) -> None:
        """Whoever takes what is in ``unanswered`` answers: the call shares it with its runner."""
        self._unanswered = unanswered

    def needs_worker(self) -> Call:
        """The tool has asked for its context: it may wait for others."""
        self.tool.pace.never()
        return self

    def _invoke(self) -> Any:
        running_call.set(self)
        tool, args, kwargs = self.tool, self._args, self._kwargs
        del self._args, self._kwargs  # what is large in them need not live as long as the call
        if tool.wants_context:
            tool.add_context(args, kwargs, Context(self))
        value = tool.function(*args, **kwargs)
        if tool.streaming:
            return self._stream(value)
        if tool.is_async and (hasattr(value, "__await__") or hasattr(value, "__aiter__")):
            return self._dispatcher.event_loop.run(value, self.on_interrupt)
        return value

    def _stream(self, items: Any) -> Any:
        loop = self._dispatcher.event_loop
        if self.tool.is_async and hasattr(items, "__await__"):
            # an "async def" that returns what is to be streamed
            items = loop.run(items, self.on_interrupt)
        if hasattr(items, "__aiter__"):
            items = loop.iterate(items, self.on_interrupt)
        iterator = iter(items)
        try:
            return self._send_items(iterator)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _send_items(self, iterator: Iterator[Any]) -> Any:
        if self.interruption is not None:
            raise self.interruption
        sink = self.peer.open_stream(self)
        while True:
            sink.wait()
            if self.interruption is not None:
                raise self.interruption
            try:
                item = next(iterator)
            except StopIteration as stop:
                return stop.value
            if self.interruption is not None:
                raise self.interruption
            try:
                sink.send(item)
            except EncodeError as error:
                raise _unencodable(self.tool, error) from None

    # -- for the tool's context -------------------------------------------------------------

    @property
    def tool_name(self) -> str:
        return self.tool.name

    @property
    def elixir(self) -> Elixir | None:
        return self._dispatcher.elixir

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` when the call is interrupted; now if it is already."""
        with self._dispatcher.interrupting:
            if self.interruption is None:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not run ``callback`` any more; no effect if it was."""
        with self._dispatcher.interrupting:
            if self._callbacks is not None and callback in self._callbacks:
                self._callbacks.remove(callback)

    def wait(self, seconds: float | None) -> bool:
        """Sleep until the call is interrupted, at most ``seconds``. Is it?"""
        if self._event is None:
            event = threading.Event()
            self.on_interrupt(event.set)
            self._event = event
        return self._event.wait(seconds)

    def progress(self, done: float, total: float | None, text: str | None) -> None:
        if self._unanswered:  # later it could speak for a call that uses the id again
            self.peer.send_progress(self.key, done, total, text)

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        # an answered call has given its id back
        key = self.key if self._unanswered else None
        self.peer.send_log(level, f"bridge.tool.{self.tool.name}", text, fields, key)

    # -- from the dispatcher ----------------------------------------------------------------

    def interrupt(self, error: CallError) -> None:
        """Let the tool know that the call was answered with ``error``."""
        with self._dispatcher.interrupting:
            self.interruption = error
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except BaseException as failure:
                from .logs import logger

                logger().warning("a cancel callback of tool %s failed: %r", self.tool.name, failure)


class Dispatcher:
    """Serves ``tools`` on ``pool`` for every transport.

    ``dispatch``, ``cancel`` and ``fail`` may be called by any thread and do not block.
    """

    def __init__(self, tools: Mapping[str, Tool], pool: Pool) -> None:
        self.tools = tools
        self.pool = pool
        self.lanes = {name: pool.new_lane() for name, tool in tools.items() if tool.serial}
        self.event_loop = event_loop.EventLoop()
        #: Calls without an answer. Keys are unique in the process: stdio uses the ids of its
        #: requests, which are below 2**64; other transports count upwards from there.
        self.calls: dict[int, Call] = {}
        #: Held while the callbacks of a call change hands; rare and short.
        self.interrupting = threading.Lock()
        self.draining = False
        #: The interpreter, as health checks show it; set by the server.
        self.python: dict[str, Any] = {}
        #: What else the statistics contain, by name.
        self.reports: dict[str, Callable[[], Any]] = {}
        #: The way back to the program that calls; set by a transport that has one.
        self.elixir: Elixir | None = None
        #: Who runs calls without a worker, and must hear of a fork too; see ``disown``.
        self.on_fork: list[Callable[[Callable[..., NoReturn]], None]] = []
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
        self.watch_deadline(call)

    def new_account(self, name: str) -> Worker:
        """For a thread that runs calls without being one of the pool's: a worker to give to them."""
        account = Worker(name)
        self.pool.guests.append(account)
        return account

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
            args, kwargs = tool.bind(request.params)
        except CallError as error:
            peer.send_error(request.msgid, error)
            return None
        call = Call(self, request, tool, args, kwargs, peer, arrived)
        self.calls[call.key] = call
        return call

    def run_here(self, call: Call, worker: Worker | None, now: float) -> bool:
        """Run an admitted call on the calling thread, which is ``worker``, a thread of the pool.

        For transports whose requests occupy a worker before their tool is known. False: another
        call of the tool runs, or the thread has lost its place in the pool (None). Then the call
        was queued, or refused, and some other thread answers it; the calling one may wait for
        that, as it is no worker any more.
        """
        lane = call.lane
        if worker is None or (lane is not None and not lane.try_enter()):
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
            if lane is not None:
                self.pool.leave(lane)
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

    def disown(self, leave: Callable[..., NoReturn]) -> None:
        """In a process that a tool has forked: answer no call, and ``leave`` where one would be."""
        for call in list(self.calls.values()):
            call.interruption = ShuttingDown("this process was forked", started=True)
            call.claim = leave  # type: ignore[method-assign]
        for disown in self.on_fork:
            disown(leave)

    def drain(self, grace: float) -> bool:
        """Accept nothing more and wait, at most ``grace`` seconds, until all is answered.

        What is not by then is answered ``unavailable``. Returns whether every call ended by
        itself. Not on a worker: it would wait for itself.
        """
        self.draining = True
        ended = _wait(lambda: not self._unfinished(), grace)
        self.cancel_all("the bridge is shutting down, and the call did not end within the grace")
        _wait(lambda: not self._ending, _MOMENT_S)
        return ended

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait, at most so long, until no worker runs a tool, abandoned ones included."""
        return _wait(lambda: all(worker.job is None for worker in self._everyone()), seconds)

    def _unfinished(self) -> bool:
        """Is there a call whose answer is not sent yet? A claimed one may still be encoded."""
        return bool(self.calls or self._ending or self.pool.queued) or any(
            worker.job is not None and not self._is_abandoned(worker) for worker in self._everyone()
        )

    # -- what is asked about the process ----------------------------------------------------

    def describe_tools(self) -> list[dict[str, Any]]:
        """All tools, by name."""
        return [self.tools[name].describe() for name in sorted(self.tools)]

    def health(self) -> dict[str, Any]:
        """Is it serving, and has it room? ``abandoned``: workers whose caller has gone."""
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
            tallies = (worker.tallies.get(tool) for worker in workers)
            total = add_up(tally for tally in tallies if tally is not None)
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
            **{name: report() for name, report in self.reports.items()},
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
            with self.interrupting:
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


def answer(peer: Peer, key: int, tool: Tool, result: Any) -> EncodeError | None:
    """Send a result, or that it cannot be sent, which is then returned."""
    try:
        peer.send_result(key, result)
    except EncodeError as error:
        peer.send_error(key, _unencodable(tool, error))
        return error
    return None


def _unencodable(tool: Tool, error: EncodeError) -> CallError:
    return ToolFailed(f"{tool.name}: {error}", type="bridge.errors.EncodeError", started=True)


def describe_failure(failure: BaseException) -> CallError:
    """The exception of a tool as an error for its caller. A ``CallError`` is passed on."""
    if isinstance(failure, CallError):
        if failure.started is None:
            failure.started = True
        return failure
    kind = type(failure)
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        lines = _format(failure)
        message = str(failure)
    except Exception:
        # no text, or still no memory for one
        lines, message = [], ""
    return ToolFailed(
        message or kind.__qualname__,
        type=name,
        traceback=lines[-_MAX_TRACEBACK_LINES:],
        started=True,
    )


def _format(failure: BaseException) -> list[str]:
    import traceback

    summary = traceback.TracebackException.from_exception(failure)
    # the frames of the bridge say nothing to the caller
    while summary.stack and summary.stack[0].filename in (__file__, event_loop.__file__):
        del summary.stack[0]
    return "".join(summary.format()).splitlines()
