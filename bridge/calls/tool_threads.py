"""The threads that run tools: what each does first and last, and with which variables a call begins.

Every call runs in a copy of the ``contextvars`` that the set-up of the adapter has left, so what
``setup()`` sets there holds in each call, and what a call sets there ends with it. A thread that
runs tools runs ``setup_worker()`` before its first call and ``close_worker()`` after its last; what
the first sets in such variables holds in the calls of its thread.
"""

from __future__ import annotations

import sys
import threading
from contextvars import Context as Variables

from ..threads import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar
    from typing import Any, Protocol

    from .event_loop import EventLoop

    class Hooks(Protocol):
        """What an adapter wants to do on each of the threads; None: nothing."""

        @property
        def setup_worker(self) -> Callable[[], object] | None: ...
        @property
        def close_worker(self) -> Callable[[], object] | None: ...


#: By what one knows a value whose code has not run yet.
_DEFERRED = {
    "__await__": "a coroutine",
    "__anext__": "an async generator",
    "gi_frame": "a generator",
}


class ToolThreads:
    """What all threads have in common that run the tools of one adapter.

    ``begin`` and ``end`` are for such a thread itself, the rest for whoever sets the adapter up
    and closes it.

    Args:
        variables: in which the adapter is set up: those of the thread that has imported it;
            default: none are set.
        single: whether one thread runs all tools. Then it drives the event loop, too, whenever it
            has nothing else to do.
    """

    def __init__(self, variables: Variables | None = None, *, single: bool = False) -> None:
        self.single = single
        self._event_loop: EventLoop | None = None
        #: Values that a call must not share with others, with their variables: each gets copies.
        self.copied: tuple[tuple[ContextVar[Any], Any], ...] = ()
        self._hook_variables, copied = _split(variables or Variables())
        copy_values(self._hook_variables, copied)
        self._variables = Variables()
        self._setup_worker: Callable[[], object] | None = None
        self._close_worker: Callable[[], object] | None = None
        self._own = threading.local()
        #: Held while the loop is made, and while its thread begins.
        self._loop_begins = threading.Lock()
        self._loop_has_begun = False

    # -- for whoever sets the adapter up, and closes it -------------------------------------

    def run_hook(self, hook: Callable[[], Any]) -> Any:
        """Run something of the adapter's that is no tool, such as its ``setup()``.

        The calling thread runs it, or if it is asynchronous the loop of the tools, for which the
        calling thread waits. What it sets in ``contextvars`` stays set in later hooks.

        Raises:
            BaseException: what the hook raises.
            TypeError: it returned a generator, whose code nobody would run.
        """
        value = self._hook_variables.run(hook)
        if hasattr(value, "__await__"):
            return self.event_loop.run(value, _never, self._hook_variables)
        return _refuse_deferred(value, getattr(hook, "__name__", "a hook"))

    def begin_calls(self, hooks: Hooks) -> None:
        """Note that the adapter is set up: calls begin with the variables as they are now.

        Args:
            hooks: what each thread does first and last.
        """
        self._variables, self.copied = _split(self._hook_variables)
        self._setup_worker, self._close_worker = hooks.setup_worker, hooks.close_worker

    @property
    def closes_workers(self) -> bool:
        """Whether there is something to be done at the end of each thread."""
        return self._close_worker is not None

    def end_loop(self) -> None:
        """Have the thread of the event loop do what it does last."""
        loop = self._event_loop
        if self.closes_workers and not self.single and loop is not None and loop.loop is not None:
            loop.call(self.end)

    # -- for a thread that runs tools -------------------------------------------------------

    def begin(self) -> Variables:
        """The variables with which calls on this thread begin, each with a copy of its own.

        The first time it runs ``setup_worker()``; while that raises, so does this.
        """
        variables: Variables | None = self._own.__dict__.get("variables")
        if variables is None:
            variables = self._variables.copy()
            if self._setup_worker is not None:
                _refuse_deferred(variables.run(self._setup_worker), "setup_worker")
            self._own.variables = variables
        return variables

    def end(self) -> None:
        """Run ``close_worker()``, if this thread has begun; once. What it raises is logged."""
        variables: Variables | None = self._own.__dict__.pop("variables", None)
        if variables is None or self._close_worker is None:
            return
        try:
            _refuse_deferred(variables.run(self._close_worker), "close_worker")
        except BaseException as error:
            from ..log import logger

            logger().warning(
                "close_worker() failed on %s: %r", threading.current_thread().name, error
            )

    def leave(self) -> None:
        """Do what a worker's thread does last: ``end``, and close the loop if it has driven it."""
        self.end()
        loop = self._event_loop
        if loop is not None and loop.driven:
            loop.close()

    def get_loop(self) -> EventLoop:
        """The event loop, whose thread runs tools as well, and has begun."""
        loop = self.event_loop
        if not self._loop_has_begun:
            with self._loop_begins:
                if not self._loop_has_begun:
                    loop.call(self.begin)
                    self._loop_has_begun = True
        return loop

    # -- for both ---------------------------------------------------------------------------

    @property
    def event_loop(self) -> EventLoop:
        """The one event loop; it is loaded when somebody asks for it. Any thread."""
        if self._event_loop is None:
            from .event_loop import EventLoop

            with self._loop_begins:
                self._event_loop = self._event_loop or EventLoop(driven=self.single)
        return self._event_loop

    def new_queue(self) -> SimpleQueue[Any]:
        """A queue for these threads. One that drives the loop runs it while it waits for an item."""
        return self.event_loop.new_queue() if self.single else SimpleQueue()


def copy_values(variables: Variables, copied: tuple[tuple[ContextVar[Any], Any], ...]) -> None:
    """Give a call its own copies of what ``ToolThreads.copied`` has."""
    for variable, value in copied:
        variables.run(variable.set, value.copy())


def _split(left: Variables) -> tuple[Variables, tuple[tuple[ContextVar[Any], Any], ...]]:
    """What was left, without the values that change in place, and those.

    ``decimal`` has such a one, its context: with one for all calls, whatever one sets there would
    hold in all others. One that is like a new one is left out, because each call makes its own.
    """
    decimal: Any = sys.modules.get("decimal")
    if not hasattr(decimal, "DefaultContext"):  # another thread may be importing it
        return left.copy(), ()
    kept, copied = Variables(), []
    for variable, value in left.items():
        if not isinstance(value, decimal.Context):
            kept.run(variable.set, value)
        else:
            value, new = value.copy(), decimal.DefaultContext.copy()
            value.clear_flags()
            new.clear_flags()
            if repr(value) != repr(new):
                copied.append((variable, value))
    return kept, tuple(copied)


def _refuse_deferred(value: Any, hook: str) -> Any:
    """Return what a hook has returned, unless its code has not run yet, and never would."""
    for method, kind in _DEFERRED.items():
        if hasattr(value, method):
            raise TypeError(f"{hook}() returned {kind}, whose code would never run")
    return value


def _never(cancel: object) -> None:
    """Nobody interrupts a hook."""
