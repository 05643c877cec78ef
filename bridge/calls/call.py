"""One call, from its request to its answer: what runs on a worker, and what the tool sees of it."""

from __future__ import annotations

import os
import threading
import time
from contextvars import Context as Variables

from ..context import Context, running_call
from ..errors import CallError, EncodeError, ShuttingDown, ToolFailed
from .stats import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, NoReturn, Protocol

    from ..context import Elixir
    from ..tool import Tool
    from ..wire.messages import Request
    from .dispatcher import Dispatcher
    from .pool import Lane, Worker

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
_OWN_DIRECTORY = os.path.join(os.path.dirname(__file__), "")


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

    def disown(self, leave: Callable[..., NoReturn]) -> None:
        """In a process that a tool has forked: say and answer nothing; see ``Dispatcher.disown``.

        The locks on the way to the peer may be held by threads that are not here.
        """
        self.interruption = ShuttingDown("this process was forked", started=True)
        self._unanswered = []
        self.claim = leave  # type: ignore[method-assign]

    def interrupt(self, error: CallError) -> None:
        """Let the tool know that the call was answered with ``error``."""
        with self._dispatcher.interrupting:
            self.interruption = error
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except BaseException as failure:
                from ..log import logger

                logger().warning("a cancel callback of tool %s failed: %r", self.tool.name, failure)


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
    # how the bridge came to call the tool says nothing to the caller
    while summary.stack and summary.stack[0].filename.startswith(_OWN_DIRECTORY):
        del summary.stack[0]
    return "".join(summary.format()).splitlines()
