"""Calls of quick tools, run on the thread that reads them, with as little around them as can be.

What a ``Call`` keeps is made only when somebody asks: when the tool looks for its context, or when
the call takes long after all, so that it may be cancelled or run out of time like any other.

Guarantees: each call of a batch is run at most once, and answered once by whoever has the right
to; one that holds its thread up can be cancelled as soon as the role was taken over; after that
its thread begins no other one. Assumes that ``append`` and ``pop`` of ``list`` and ``deque`` are
atomic, which they are with the GIL and without.

The leading thread runs ``run``, and within it ``execute`` and ``claim``. ``share`` and ``forked``
are for other threads, ``needs_worker`` for the tool itself.

The interleavings, each with its number where it is harmless and why (and its test):

1. The tool returns while another thread makes a call of it. What runs stands in ``_unshared``, and
   whoever takes it out has the right to answer or to make a ``Call``, whose claim then decides.
   (``test_once_it_is_cancelled_its_id_may_be_used_again``)
2. The tool returns when another thread has taken it out, but has no ``Call`` yet. The runner waits
   for it, which is short. (``test_a_tool_that_returns_while_it_is_shared_is_answered_once``)
3. The role is lost between the runner's look and the beginning of a call: who has taken over found
   nothing to share. So the runner looks once more when there is something, and shares it itself.
   (``test_a_call_that_begins_while_the_role_is_lost_can_be_cancelled``)
4. Whoever has taken over empties the batch while the runner takes the next call from it. It finds
   none, and ends. (``test_a_batch_that_is_taken_away_ends_the_run``)
5. The tool forks while another thread has taken it out and has no ``Call`` yet. That thread is not
   in the child, and there will be no ``Call`` there: the child leaves as if somebody had answered.
   (``test_a_tool_that_forks_while_it_is_shared_leaves_the_child``)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import Context as Variables

from ...errors import CallError
from ...running_call import running_call
from ..call import Call
from ..execution import Running, execute
from ..failures import unhandled
from ..region import outside
from ..stats import ToolStats
from ..tool_threads import copy_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...wire import Request
    from ..dispatcher import Dispatcher
    from ..interfaces import Peer
    from ..region import Region
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
        self._threads = dispatcher.pool.threads
        #: Every call gets a copy; None: the thread has not begun to run calls.
        self._variables: Variables | None = None
        #: ``setup_worker()`` has failed: no tool shall run on this thread.
        self._unfit = False
        self._arrived = 0.0
        self._thread = 0  # that runs calls here
        #: What runs here and nobody else knows of. Whoever takes it out decides: this thread, and
        #: it answers the call; or another one, and there is a ``Call`` from then on.
        self._unshared: list[tuple[Request, ServedTool]] = []
        #: What was taken out by others, as they know it.
        self._call: Call | None = None
        #: Held by others from when they take it out until there is a call.
        self._sharing = threading.Lock()

    def run(self, batch: Batch, watchdog: Watchdog, term: int) -> bool:
        """Run the calls of a batch, as long as this thread leads. False: it has lost the role."""
        account, variables, unshared = self._account, self._variables, self._unshared
        self._thread = threading.get_ident()
        if variables is None:
            variables = self._begin_thread(batch, watchdog, term)
            if variables is None:
                return watchdog.term == term
        copied = self._threads.copied
        began = now = self._arrived = account.since = time.monotonic()
        if account.thread is None:
            account.thread = threading.current_thread()
        account.job = self
        current: ServedTool | None = None
        peer = self._peer
        number = counted = errors = 0
        while watchdog.term == term and batch:
            if number % _WATCHED_CALLS == 0:
                if number:
                    now = time.monotonic()
                if not watchdog.watch(term, now):
                    break
            try:
                request, tool = running = batch.popleft()
            except IndexError:
                break  # (4)
            if tool is not current:
                if current is not None:
                    began = self._count(current, number - counted, errors, began)
                current, counted, errors = tool, number, 0
            number += 1
            args, kwargs = request.params, _NO_NAMES
            if type(args) is not list or len(args) != tool.arity:
                try:
                    args, kwargs = tool.bind(args)
                except Exception as error:
                    # where one message of a peer is handled
                    refusal = error if isinstance(error, CallError) else unhandled(tool.name, error)
                    peer.send_error(request.msgid, refusal)
                    errors += 1
                    continue
            unshared.append(running)
            if watchdog.term != term:
                self.share()  # (3)
            own = variables.copy()
            if copied:
                copy_values(own, copied)
            errors += execute(self, tool, args, kwargs, own, peer, request.msgid)
        account.job = None
        if current is not None:
            self._count(current, number - counted, errors, began)
        return watchdog.term == term

    def _begin_thread(self, batch: Batch, watchdog: Watchdog, term: int) -> Variables | None:
        """Have this thread begin to run calls, under watch: ``setup_worker()`` may take long.

        Returns:
            None if it must not run any; then the workers have the batch.
        """
        if not self._unfit:
            if not watchdog.watch(term, time.monotonic()):
                return None
            try:
                variables = self._threads.begin().copy()
            except BaseException as error:
                from ...log import logger

                logger().error("setup_worker() failed", exc_info=error)
                self._unfit = True
            else:
                variables.run(running_call.set, self)  # type: ignore[arg-type]
                self._variables = variables
                return variables
        while watchdog.term == term and batch:
            try:
                request, _ = batch.popleft()
            except IndexError:
                break  # (4)
            self._dispatcher.dispatch(request, self._peer)
        return None

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

    @property
    def running_tool(self) -> str | None:
        try:
            _, tool = self._unshared[-1]
        except IndexError:
            return None
        return tool.name

    def claim(self) -> bool:
        try:
            self._unshared.pop()  # (1)
        except IndexError:
            with self._sharing:  # (2)
                call, self._call = self._call, None
            if call is None:  # (5)
                return False
            if not call.claim():
                call.ended_late = True
                return False
            call.forget_all()
        return True

    def finish(self, value: Any) -> Any:
        raise AssertionError("deferred tools run on workers")

    def answered_elsewhere(self, failure: BaseException | None) -> None:
        self._runtime.answered_elsewhere(failure)

    @property
    def interrupt_due(self) -> bool:
        call = self._call
        return call is not None and call.interrupt_due

    @interrupt_due.setter
    def interrupt_due(self, due: bool) -> None:
        call = self._call
        if call is not None:
            call.interrupt_due = due

    def outside(self) -> Any:
        """See ``RunningCall``."""
        return outside(self)

    def region_of(self, call: Running) -> Region | None:
        # what has ended is not taken for what runs now: its claim waits for this
        with self._sharing:
            return self.region if self._call is call else None

    # -- for others -------------------------------------------------------------------------

    def needs_worker(self) -> Call:
        """Make a call of what runs here, because the tool asks for its context: it is not quick."""
        with outside(self):
            call = self._make_call()
        if call is None:
            self._runtime.answered_elsewhere()  # (5)
        assert call is not None
        return call.needs_worker()

    def log_origin(self) -> tuple[object, int | None, str] | None:
        """What a log record belongs to: see ``RunningCall``. What runs here stays unshared."""
        if threading.get_ident() != self._thread:
            return None  # it has the variables of a call that may be over
        try:
            request, tool = self._unshared[-1]
        except IndexError:
            call = self._call  # shared, or answered just now
            return None if call is None else call.log_origin()
        return self._peer, request.msgid, tool.name

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
            try:
                request, tool = self._unshared.pop()  # (1)
            except IndexError:
                pass  # it is shared already, or there is nothing
            else:
                call = Call(self._runtime, request, tool, [], {}, self._peer, self._arrived)
                call.started = True
                call.runner = self
                self._runtime.calls[call.key] = call
                self._account.job = call
                self._call = call
            return self._call
