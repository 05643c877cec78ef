"""Calls of quick tools, run on the thread that reads them, with as little around them as can be.

What a ``Call`` keeps is made only when somebody asks: when the tool looks for its context, or when
the call takes long after all, so that it may be cancelled or run out of time like any other.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context as Variables

from ...context import running_call
from ..call import Call
from ..execution import Running, execute
from ..stats import ToolStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...wire.messages import Request
    from ..dispatcher import Dispatcher
    from ..interfaces import Peer
    from ..served_tool import ServedTool
    from .watchdog import Watchdog

    #: What was read, and is not run yet.
    Batch = deque[tuple[Request, ServedTool]]

#: After so many calls the watch begins anew: it is for one that hangs, not for many.
_WATCHED_CALLS = 64
_NO_NAMES: dict[str, Any] = {}


class InlineRunner(Running):
    """Runs quick calls on one thread. Another one may turn what it runs into a call.

    Args:
        dispatcher: whose tools and calls these are.
        peer: who gets the answers.
        name: of the thread, for the statistics.
    """

    def __init__(self, dispatcher: Dispatcher, peer: Peer, name: str) -> None:
        self._dispatcher = dispatcher
        self._runtime = dispatcher.runtime
        self._peer = peer
        self._account = dispatcher.pool.new_guest(name)
        # every call gets a copy: fresh variables, but this one
        self._variables = Variables()
        self._variables.run(running_call.set, self)  # type: ignore[arg-type]
        #: Held while it is decided whether the call that runs here is known to others.
        self._sharing = threading.Lock()
        self._arrived = 0.0
        #: What runs here, until its answer is claimed. In one, because others read it while this
        #: thread goes on to the next.
        self._running: tuple[Request, ServedTool] | None = None
        #: The same as others know it, once somebody has asked.
        self._call: Call | None = None

    def run(self, batch: Batch, watchdog: Watchdog, term: int) -> bool:
        """Run the calls of a batch, as long as this thread leads. False: it has lost the role."""
        account, variables = self._account, self._variables
        began = now = self._arrived = account.since = time.monotonic()
        account.job = self
        current: ServedTool | None = None
        number = calls = errors = 0
        while watchdog.term == term and batch:
            if number % _WATCHED_CALLS == 0:
                if number:
                    now = time.monotonic()
                if not watchdog.watch(term, now):
                    break
            try:
                request, tool = running = batch.popleft()
            except IndexError:
                break  # another thread has taken over
            if tool is not current:
                if current is not None:
                    began = self._count(current, calls, errors, began)
                current, calls, errors = tool, 0, 0
            number += 1
            calls += 1
            self._running = running
            if watchdog.term != term:
                self.share()  # whoever leads now may have looked before there was something
            errors += execute(self, tool, variables.copy(), self._peer, request.msgid)
        account.job = None
        if current is not None:
            self._count(current, calls, errors, began)
        return watchdog.term == term

    def _count(self, tool: ServedTool, calls: int, errors: int, began: float) -> float:
        """Count calls of one tool that ran here since ``began``. Returns what time it is."""
        account = self._account
        now = time.monotonic()
        account.jobs += calls
        account.busy_s += now - began
        each = (now - began) / calls
        stats = account.stats.get(tool)
        if stats is None:
            stats = account.stats[tool] = ToolStats()
        stats.add_many(calls, errors, each)
        tool.latency.note(each)
        return now

    # -- execution.Running ------------------------------------------------------------------

    def take_arguments(self) -> tuple[list[Any], dict[str, Any]]:
        assert self._running is not None
        request, tool = self._running
        params = request.params
        if type(params) is list and len(params) == tool.arity:
            return params, _NO_NAMES  # as bind() would say, for less
        return tool.bind(params)

    def claim(self) -> bool:
        with self._sharing:
            self._running = None  # from here on nobody can make a call of it
            call, self._call = self._call, None
        return call is None or call.claim()

    def finish(self, value: Any) -> Any:
        raise AssertionError("deferred tools run on workers")

    def answered_elsewhere(self) -> None:
        self._runtime.answered_elsewhere()

    # -- for others -------------------------------------------------------------------------

    def needs_worker(self) -> Call:
        """Make a call of what runs here, because the tool asks for its context: it is not quick."""
        call = self._make_call()
        assert call is not None
        return call.needs_worker()

    def share(self) -> None:
        """Make a call of what runs here, if anything does, so that it can be cancelled. Any thread."""
        call = self._make_call()
        if call is not None:
            call.tool.latency.slow()
            self._dispatcher.watch_deadline(call)

    def forked(self) -> None:
        """In a process that a tool has forked: what runs here is answered by the parent."""
        self._sharing = threading.Lock()  # somebody who is not here may hold it
        call = self._make_call()
        if call is not None:
            call.forked()

    def _make_call(self) -> Call | None:
        """The call that runs here, as others know calls; None if there is none."""
        with self._sharing:
            if self._call is None and self._running is not None:
                request, tool = self._running
                call = Call(self._runtime, request, tool, [], {}, self._peer, self._arrived)
                call.started = True
                self._runtime.calls[call.key] = call
                self._account.job = call
                self._call = call
            return self._call
