"""Where a thread may be interrupted: inside of a tool, and nowhere else.

A tool that nobody awaits any more can be ended by force: ``Interrupted`` is raised in its thread
(``PyThreadState_SetAsyncExc``). It comes at a later bytecode of that thread, wherever that is by
then. So a thread says when it goes into a tool, by a ``Region``, and does not come out before an
exception that was meant for it has come as well.

Guarantees: at most one exception is raised for a region, and none once ``run_inside`` has returned or
raised: not in our own code around the tool, and not in what the thread does next. Code of ours that
the tool calls is ``outside`` as well, because it holds locks that others need. Assumes that ``pop``
of a ``list`` is atomic, which it is with the GIL and without.

The tool's thread runs ``run_inside``, ``leave`` and ``Outside``; any other one ``interrupt``.

The interleavings, each with its number where it is harmless and why (and its test):

1. The tool returns just as it is interrupted. Both take the one claim of the region: if the thread
   has it, nothing is raised; if the other one has it, the thread stays until the exception came.
   (``test_a_region_that_was_left_is_not_interrupted``)
2. The other one has the claim, and the thread comes out before the exception is set. It waits for
   that, which is short. (``test_a_thread_waits_for_the_exception_that_is_about_to_be_set``)
3. The exception is set and comes only now, while the thread leaves; or it came in the tool, which
   has swallowed it; nobody can tell. So the thread raises one in itself, which takes the place of
   one that is pending, and waits for that. (``test_a_thread_leaves_only_after_an_exception_has_come``)
4. The exception comes anywhere in here: before the tool has begun, or while its thread leaves. It is
   the only one, so whatever is left undone needs not be done: nothing more can come.
   (``test_wherever_the_exception_comes_it_comes_once_and_not_later``)
5. A call is to be interrupted between two regions, or before the first: a stream waits for its peer,
   the tool reports progress. That is noted first, and the region looked for then; the thread does
   it the other way round. (``test_a_call_that_is_interrupted_outside_is_so_when_it_goes_in``)
"""

from __future__ import annotations

import time
from threading import get_ident

from ..errors import Interrupted
from ..running_call import NOWHERE
from .claim import take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Interruptible(Protocol):
        """What runs a tool: where its thread is in it, and whether it is to be interrupted."""

        region: Region | None

        @property
        def interrupt_due(self) -> bool:
            raise NotImplementedError

        @interrupt_due.setter
        def interrupt_due(self, due: bool) -> None:
            raise NotImplementedError


#: Python looks for an exception at least once in a pass of a loop.
_PASSES = 10


class _Absorbed(BaseException):
    """What a thread raises in itself."""


class Region:
    """A stretch of a thread, from when it goes into a tool until it comes out.

    Whoever takes the claim decides: the thread, that nothing is raised; another one, that it is.
    ``raised``: that has been done.
    """

    __slots__ = ("_claim", "thread", "raised")

    def __init__(self) -> None:
        self._claim = [True]
        self.thread = get_ident()
        self.raised = False

    def take(self) -> bool:
        """Take the claim. Any thread; True exactly once."""
        return take(self._claim)

    def interrupt(self, running: Interruptible) -> bool:
        """Raise ``Interrupted`` in the thread. Another thread calls it. False: it is too late."""
        if not self.take():  # (1)
            return False
        try:
            running.interrupt_due = False
            raise_in(self.thread, Interrupted)
        finally:
            self.raised = True  # (2)
        return True

    def leave(self) -> bool:
        """Come out: from now on nothing is raised. The thread calls it, whatever happened.

        Returns:
            Whether it was interrupted, and that came only here.
        """
        if self.take():  # (1)
            return False
        while not self.raised:  # (2)
            time.sleep(0)
        return _absorb()


def raise_in(thread: int, kind: type[BaseException]) -> None:
    """Raise an exception in the thread with this identifier, at its next bytecode or soon after."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _absorb() -> bool:
    try:
        for _ in range(_PASSES):
            pass
        while True:
            raise_in(get_ident(), _Absorbed)  # (3)
            for _ in range(_PASSES):
                pass
    except _Absorbed:
        return False
    except Interrupted:
        return True


def run_inside(
    running: Interruptible, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Call a function of a tool, which may be interrupted.

    Args:
        running: what runs the tool. Others find its region there.
        function: what is called.
        args: its arguments by position.
        kwargs: those by name.

    Returns:
        What the function returned.

    Raises:
        Interrupted: somebody has interrupted it. Or whatever the function raises.
    """
    try:
        _enter(running)
        return function(*args, **kwargs)
    finally:
        region, running.region = running.region, None
        if region is not None:
            region.leave()  # (4)


def _enter(running: Interruptible) -> None:
    region = Region()
    running.region = region  # (5) first this, then the look
    if running.interrupt_due and region.take():
        running.interrupt_due = False
        region.raised = True
        raise Interrupted


class Outside:
    """While it lasts, the tool's thread runs code of ours, and is not interrupted.

    If it is to be by then, the exception is raised when it comes in or goes out.
    """

    __slots__ = ("_running",)

    def __init__(self, running: Interruptible) -> None:
        self._running = running

    def __enter__(self) -> None:
        running = self._running
        region, running.region = running.region, None
        if region is not None and region.leave():
            raise Interrupted

    def __exit__(self, *_: object) -> None:
        _enter(self._running)


def outside(running: Interruptible) -> Any:
    """For ``with``: around code of ours that a tool calls. Any thread, also one of the tool's own."""
    region = running.region
    if region is None or region.thread != get_ident():
        return NOWHERE
    return Outside(running)
