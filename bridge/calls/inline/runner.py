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
from ..call import Call, answer, describe_failure
from ..stats import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ...tool import Tool
    from ...wire.messages import Request
    from ..call import Peer
    from ..dispatcher import Dispatcher
    from .watchdog import Relay

    #: What was read, and is not run yet.
    Batch = deque[tuple[Request, Tool]]

#: After so many calls the watch begins anew: it is for one that hangs, not for many.
_WATCHED_CALLS = 64


class QuickCalls:
    """Runs quick calls on one thread. Another one may look at what it does with ``take_over``."""

    def __init__(self, dispatcher: Dispatcher, peer: Peer, name: str) -> None:
        self._dispatcher = dispatcher
        self._peer = peer
        self._account = dispatcher.new_account(name)
        dispatcher.on_fork.append(self.disown)
        # every call gets a copy: fresh variables, but this one
        self._variables = Variables()
        self._variables.run(running_call.set, self)  # type: ignore[arg-type]
        self._making = threading.Lock()
        self._arrived = 0.0
        #: What runs now: the request, its tool, and a list: who takes what is in it answers. In
        #: one, because others read it while this thread goes on to the next.
        self._running: tuple[Request, Tool, list[bool]] | None = None
        self._call: Call | None = None

    def run(self, batch: Batch, relay: Relay, turn: int) -> bool:
        """Run the calls, as long as this thread has the duty. False: it was lost."""
        account = self._account
        began = now = self._arrived = account.since = time.monotonic()
        account.job = self  # type: ignore[assignment]
        current: Tool | None = None
        number = calls = errors = 0
        while relay.turn == turn and batch:
            if number % _WATCHED_CALLS == 0:
                if number:
                    now = time.monotonic()
                if not relay.working(turn, now):
                    break
            try:
                request, tool = batch.popleft()
            except IndexError:
                break  # another thread has taken over
            if tool is not current:
                if current is not None:
                    began = self._book(current, calls, errors, began)
                current, calls, errors = tool, 0, 0
            number += 1
            calls += 1
            errors += self._run_one(request, tool, relay, turn)
        account.job = None
        self._running = None
        if current is not None:
            self._book(current, calls, errors, began)
        return relay.turn == turn

    def _run_one(self, request: Request, tool: Tool, relay: Relay, turn: int) -> bool:
        """Run one call and answer it. Did it fail?"""
        unanswered = [True]
        self._running = request, tool, unanswered
        if relay.turn != turn:
            self.take_over()  # the duty was lost just now: who has it may have looked too early
        failure: BaseException | None = None
        result: Any = None
        try:
            params, run = request.params, self._variables.copy().run
            if type(params) is list and len(params) == tool.arity:
                result = run(tool.function, *params)  # as below, for less
            else:
                args, kwargs = tool.bind(params)
                result = run(tool.function, *args, **kwargs)
        except BaseException as error:
            failure = error
            if isinstance(error, MemoryError):
                error.__traceback__ = error.__context__ = None  # as in Call.run
        try:
            unanswered.pop()
        except IndexError:
            return failure is not None  # somebody else has answered
        finally:
            if self._call is not None:
                with self._making:
                    self._forget_call()
        if failure is None:
            return answer(self._peer, request.msgid, tool, result) is not None
        self._peer.send_error(request.msgid, describe_failure(failure))
        return True

    def _book(self, tool: Tool, calls: int, errors: int, began: float) -> float:
        """Count calls of one tool that ran here since ``began``. Returns what time it is."""
        account = self._account
        now = time.monotonic()
        account.jobs += calls
        account.busy_s += now - began
        each = (now - began) / calls
        tally = account.tallies.get(tool)
        if tally is None:
            tally = account.tallies[tool] = Tally()
        tally.add_many(calls, errors, each)
        tool.pace.note(each)
        return now

    # -- for others -------------------------------------------------------------------------

    def needs_worker(self) -> Call:
        """The tool that runs here asks for its context: it gets a call, and is not quick."""
        call = self._make_call()
        assert call is not None
        return call.needs_worker()

    def take_over(self) -> None:
        """The call that runs here takes long: it can be cancelled from now on. Any thread."""
        call = self._make_call()
        if call is not None:
            call.tool.pace.slow()
            self._dispatcher.watch_deadline(call)

    def disown(self, leave: Callable[..., NoReturn]) -> None:
        """In a process that a tool has forked: nothing is answered, see ``Dispatcher.disown``."""
        self._making = threading.Lock()
        if self._running is not None:
            self._running[2].clear()
        self._run_one = self._book = leave  # type: ignore[method-assign]

    def _make_call(self) -> Call | None:
        """The call that runs here, as others know calls; None if it has ended."""
        with self._making:
            if self._call is not None:
                return self._call
            if self._running is None:
                return None
            request, tool, unanswered = self._running
            if not unanswered:
                return None
            call = Call(self._dispatcher, request, tool, [], {}, self._peer, self._arrived)
            call.started = True
            call.share(unanswered)
            self._call = call
            self._dispatcher.calls[call.key] = call
            if not unanswered:
                # it has ended just now, and has not seen that there is something to remove
                self._forget_call()
                return None
            self._account.job = call
            return call

    def _forget_call(self) -> None:
        """The call has ended. Under its id there may be a new one already, which stays."""
        call, self._call = self._call, None
        if call is not None and self._dispatcher.calls.get(call.key) is call:
            del self._dispatcher.calls[call.key]
