"""One call, from its request to its answer: what runs on a worker, and what the tool sees of it.

Guarantees: no progress follows the answer, whatever thread reports and whatever thread answers.
What makes each interleaving harmless:

1. A thread of the tool has seen that there is no answer, and reports when there is one. A report
   is sent under the call's lock, and whoever claims the answer waits for that lock before it
   gives the key back. (``test_progress_that_is_being_sent_comes_before_the_answer``)
2. The first report makes that lock while the answer is claimed. The reporter shows the lock first
   and looks at the claim then; whoever claims does it the other way round.
   (``test_a_first_report_during_the_claim_is_dropped``)
"""

from __future__ import annotations

import threading
import time
from functools import partial

from ..context import Context
from ..errors import CallError, ShuttingDown
from ..running_call import running_call
from .claim import take
from .execution import Running, execute
from .failures import send_failure, unprepared
from .interfaces import CallView
from .job import NestableJob
from .region import outside, run_inside
from .stats import ToolStats, count
from .tool_threads import copy_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextvars import Context as Variables
    from typing import Any

    from ..running_call import Elixir
    from ..wire import Request
    from .interfaces import Peer
    from .job import Worker
    from .nesting import NestedCalls
    from .region import Region
    from .runtime import CallRuntime
    from .served_tool import ServedTool


class Call(Running, NestableJob, CallView):
    """One call, from its request to its answer; what ``Context`` shows to the tool.

    Args:
        runtime: what it shares with all other calls.
        request: what the peer asked for.
        tool: what is to run.
        args: the bound arguments by position, without a context.
        kwargs: those by name.
        peer: who gets the answer.
        arrived: when the request came, an instant of ``time.monotonic()``, and its timeout began.
    """

    # what most calls leave as it is, so that making one stays cheap
    deadline: float | None = None
    session: str | None = None
    metadata: Mapping[str, str] = {}
    #: Whether the tool may have begun; set before the worker looks for an answer.
    started = False
    #: See ``CallView``; set when its tool begins.
    waited_s = 0.0
    #: Why nobody waits for the call any more; None while somebody does.
    interruption: CallError | None = None
    #: Since when, an instant of ``time.monotonic()``.
    interrupted_at = 0.0
    #: Whether its tool is to be ended; see ``region.py``.
    interrupt_due = False
    #: What ran its tool already when this became a call; None: this did from the beginning.
    runner: Running | None = None
    #: The call within which this one was made, while that runs.
    outer: NestableJob | None = None
    #: Where calls run that are made within this one, while its tool waits for Elixir.
    nested: NestedCalls | None = None
    #: The coroutine, or async generator, that runs for it on the event loop.
    awaited: Any = None
    #: What a stream of the event loop has returned, if it runs elsewhere.
    returned: Any = None
    #: What makes the tool that gets arguments in shared memory; None: there are none.
    lent: Callable[[ServedTool], Any] | None = None
    _callbacks: list[Callable[[], object]] | None = None
    #: Whether the tool has ended, or has not begun, after somebody else had claimed the answer.
    ended_late = False
    _event: threading.Event | None = None
    #: Held while progress is sent; None: there never was any.
    _reporting: threading.RLock | None = None

    def __init__(
        self,
        runtime: CallRuntime,
        request: Request,
        tool: ServedTool,
        args: list[Any],
        kwargs: dict[str, Any],
        peer: Peer,
        arrived: float,
    ) -> None:
        self.key = request.msgid
        self.tool = tool
        self.peer = peer
        self.arrived = arrived
        self.serial = tool.serial
        self._runtime = runtime
        self._claim = [True]
        #: The arguments by position, and above them those by name, until the tool has them.
        self._arguments: list[Any] = [kwargs, args]
        options = request.options
        if options is not None:
            if options.timeout_s is not None:
                self.deadline = arrived + options.timeout_s
            self.session = options.session
            self.lent = options.lent
            if options.metadata is not None:
                self.metadata = options.metadata

    def __repr__(self) -> str:
        return f"<Call {self.key} of {self.tool.name}>"

    @property
    def answered(self) -> bool:
        """Whether somebody has claimed the answer."""
        return not self._claim

    # -- on the worker ----------------------------------------------------------------------

    def run(self, worker: Worker, now: float) -> float:
        """Run the tool and answer, unless somebody has. The pool calls it, on a worker."""
        tool = self.tool
        self.started = True
        if not self._claim:
            self.ended_late = True
            return now
        waited = self.waited_s = now - self.arrived if now > self.arrived else 0.0
        arguments = self._arguments
        if tool.wants_context:
            tool.tool.add_context(arguments[1], arguments[0], Context(self))
        variables = worker.variables
        if variables is None:
            try:
                variables = worker.variables = self._runtime.threads.begin()
            except BaseException as error:
                self.fail_unprepared(error)
                count(worker.stats, tool, waited, 0.0, True)
                return now
        variables = variables.copy()
        variables.run(running_call.set, self)
        if self._runtime.threads.copied:
            copy_values(variables, self._runtime.threads.copied)
        # popped into the call, so that nothing here keeps them
        callee = tool if self.lent is None else self.lent(tool)
        take = arguments.pop
        failed = execute(self, callee, take(), take(), variables, self.peer, self.key)
        if self._callbacks is not None:
            self.forget_all()
        ended = time.monotonic()
        stats = worker.stats.get(tool)
        if stats is None:
            stats = worker.stats[tool] = ToolStats()
        lasted = ended - now
        stats.add(waited, lasted, failed)
        tool.latency.note(lasted)
        return ended

    def new_variables(self, variables: Variables) -> Variables:
        """Those of this call, on a thread whose calls begin with ``variables``."""
        own = variables.copy()
        own.run(running_call.set, self)
        copy_values(own, self._runtime.threads.copied)
        return own

    def begin(self) -> Any:
        """Call an asynchronous tool, on the loop's thread: what it returns has yet to run."""
        tool, arguments = self.tool, self._arguments
        if tool.wants_context:
            tool.tool.add_context(arguments[1], arguments[0], Context(self))
        tool = tool if self.lent is None else self.lent(tool)
        return tool.function(*arguments.pop(), **arguments.pop())

    def fail_unprepared(self, failure: BaseException) -> None:
        """Answer in the place of the tool: ``setup_worker()`` has failed on this thread."""
        if self.claim():
            send_failure(self.peer, self.key, self.tool.name, failure, unprepared)
        else:
            self.answered_elsewhere(None)

    def claim(self) -> bool:
        """Whether the answer is the asker's to give: True once. Any thread."""
        if not take(self._claim):
            return False
        reporting = self._reporting  # (2)
        if reporting is not None:
            with reporting:  # (1)
                pass
        # nobody else can be here under this key: it is in flight until the answer is sent
        self._runtime.calls.pop(self.key, None)
        return True

    def answered_elsewhere(self, failure: BaseException | None) -> None:
        self.ended_late = True
        self._runtime.answered_elsewhere(failure)

    def needs_worker(self) -> Call:
        """Note that the tool has asked for its context: it may wait for others."""
        self.tool.latency.never()
        return self

    def finish(self, value: Any) -> Any:
        tool, threads = self.tool, self._runtime.threads
        if tool.is_async and (
            hasattr(value, "__await__") or (hasattr(value, "__aiter__") and not tool.streaming)
        ):
            self.awaited = value
            try:
                value = threads.get_loop().run(value, self.on_interrupt)
            finally:
                self.awaited = None
        if not tool.streaming:
            return value
        from .items import send_items  # not at the start of a bridge

        advance: Callable[[Iterator[Any]], Any] = next
        if hasattr(value, "__aiter__"):
            self.awaited = value
            value = threads.get_loop().iterate(value, self.on_interrupt)
        elif tool.interruptible:
            advance = partial(run_inside, self, next)
        iterator = iter(value)
        try:
            return send_items(
                tool.name, self.check, lambda: self.peer.open_stream(self), iterator, advance
            )
        finally:
            self.awaited = None
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def check(self) -> None:
        """Raise if nobody awaits the call any more."""
        if self.interruption is not None:
            raise self.interruption.again()

    def current_region(self) -> Region | None:
        """Where the thread is in the tool, if that may be interrupted. Another thread calls it."""
        return (self.runner or self).region_of(self)

    # -- for the tool's context -------------------------------------------------------------

    def outside(self) -> Any:
        running: Any = self.runner or self
        return outside(running)

    @property
    def tool_name(self) -> str:
        return self.tool.name

    @property
    def on_loop(self) -> bool:
        return self.tool.on_loop

    @property
    def running_tool(self) -> str:
        return self.tool.name

    @property
    def elixir(self) -> Elixir | None:
        return self.peer.elixir or self._runtime.elixir

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` when the call is interrupted; now if it is already."""
        with self.outside(), self._runtime.interrupting:
            if self.interruption is None:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not run ``callback`` any more; no effect if it was."""
        with self.outside(), self._runtime.interrupting:
            if self._callbacks is not None and callback in self._callbacks:
                self._callbacks.remove(callback)

    def forget_all(self) -> None:
        """Drop the callbacks, most of which lead back here. The tool has ended.

        No effect if somebody else ends the call: whoever does runs and drops them.
        """
        if not self.ended_late:
            self._callbacks = None

    def wait(self, seconds: float | None) -> bool:
        """Sleep until the call is interrupted, at most ``seconds``. Returns whether it is."""
        with self.outside():
            if self._event is None:
                event = threading.Event()
                self.on_interrupt(event.set)
                self._event = event
            return self._event.wait(seconds)

    def progress(self, done: float, total: float | None, text: str | None) -> None:
        with self.outside():
            self._report(done, total, text)

    def _report(self, done: float, total: float | None, text: str | None) -> None:
        reporting = self._reporting
        if reporting is None:
            with self._runtime.interrupting:
                self._reporting = reporting = self._reporting or threading.RLock()  # (2)
        with reporting:
            if self._claim:  # later it could speak for a call that uses the id again
                self.peer.send_progress(self.key, done, total, text)

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        # an answered call has given its id back
        key = self.key if self._claim else None
        with self.outside():
            self.peer.send_log(level, f"bridge.tool.{self.tool.name}", text, fields, key)

    def log_origin(self) -> tuple[object, int | None, str]:
        return self.peer, self.key if self._claim else None, self.tool.name

    # -- from the dispatcher ----------------------------------------------------------------

    def interrupt(self, error: CallError) -> None:
        """Let the tool know that the call was answered with ``error``."""
        with self._runtime.interrupting:
            self.interrupted_at = time.monotonic()
            self.interruption = error
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except BaseException as failure:
                from ..log import logger

                logger().warning("a cancel callback of tool %s failed: %r", self.tool.name, failure)

    def forked(self) -> None:
        """In a process that a tool has forked: the call is the parent's; see ``CallRuntime``."""
        self.interruption = ShuttingDown("this process was forked", started=True)
        take(self._claim)
