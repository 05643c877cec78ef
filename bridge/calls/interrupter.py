"""Ends tools whose calls nobody awaits any more: decides which, and when.

How an exception gets into a tool's thread, and never into anything else, is in ``region.py``. The
interleavings here, each with its number where it is harmless and why (and its test):

1. A call ends while the thread sleeps, because nothing was due or only something later. The heap
   changes under the lock that the thread sleeps with, and wakes it: it looks for the earliest anew.
   (``test_with_the_option_all_others_are_ended_after_that_time``)
2. The tool comes out of its region just as its time is up: whoever has the region's claim decides,
   and a call that is in no region is remembered as due (numbers 1 and 5 of ``region.py``).
   (``test_what_is_noted_is_there_before_a_region_is_looked_for``,
   ``test_deadlines_that_pass_just_as_tools_end_disturb_nothing``)
3. A tool forks while an exception is being raised somewhere: in the child there is nobody who would
   say that it was, so ``forked`` does. (``test_in_a_forked_process_nobody_waits_for_what_will_not_be_raised``)
4. No thread can be started: the main thread ends what is due, a moment later (``catch_up``), until
   one can. Both take calls from the heap under its lock, so each is ended once.
   (``test_without_a_thread_of_its_own_the_main_one_catches_up``)
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time

from ..errors import UsageError
from ..threads import start_thread
from .region import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ..tool import Tool
    from .region import Interruptible

    class AbandonedCall(Interruptible, Protocol):
        """A call that has its answer, and whose tool may go on."""

        interrupted_at: float
        ended_late: bool

        def current_region(self) -> Region | None: ...


_LONGEST_WAIT_S = 3600.0
#: Beyond so many, and so many times what was left the last time, calls are let go of whose tools have ended.
_SMALL, _SLACK = 64, 2


class Interrupter:
    """Raises ``Interrupted`` in tools that go on although their call is over.

    ``count``: in how many so far. Its thread starts with the first that it is to wait for.

    Args:
        after_s: so long after the end of its call any tool is interrupted, in seconds, but those
            marked ``interruptible=False``; None: only those marked ``interruptible=True``, which
            always are at once.
        allowed: False: none is, whatever it says.
    """

    def __init__(self, after_s: float | None = None, *, allowed: bool = True) -> None:
        self._after_s = after_s
        self._allowed = allowed
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, AbandonedCall]] = []
        self._limit = _SMALL
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        #: Where an exception is being raised just now.
        self._region: Region | None = None
        self.count = 0

    def covers(self, tool: Tool) -> bool:
        """Whether the tool may be interrupted.

        Raises:
            UsageError: it may, but this Python cannot do it.
        """
        wanted = self._after_s is not None if tool.interruptible is None else tool.interruptible
        if not (wanted and self._allowed):
            return False
        try:
            import ctypes

            ctypes.pythonapi.PyThreadState_SetAsyncExc.argtypes = (ctypes.c_ulong, ctypes.py_object)
        except ImportError as error:
            raise UsageError(
                f"{tool.name} is to be interrupted, which takes ctypes: {error}. Without "
                "--interrupt-abandoned and interruptible=True the bridge serves all the same"
            ) from None
        return True

    def end(self, call: AbandonedCall, tool: Tool) -> None:
        """Interrupt the tool of a call that has just been answered by another. Any thread.

        Args:
            call: what it ran for.
            tool: one that ``covers`` is true for.
        """
        wait_s = 0.0 if tool.interruptible else self._after_s or 0.0
        with self._changed:
            if not wait_s:
                self._interrupt(call)
                return
            heapq.heappush(self._heap, (call.interrupted_at + wait_s, next(self._numbers), call))
            if len(self._heap) > self._limit:
                # most tools end by themselves, long before
                self._heap = [entry for entry in self._heap if not entry[2].ended_late]
                heapq.heapify(self._heap)
                self._limit = max(_SMALL, _SLACK * len(self._heap))
            self._changed.notify()  # (1)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bridge-interrupter", daemon=True)
                if start_thread(thread):
                    self._thread = thread

    def catch_up(self) -> None:
        """Interrupt what is due if no thread could be started for it. The main thread calls it."""
        while self._thread is None:  # (4)
            with self._changed:
                if not self._heap or self._heap[0][0] > time.monotonic():
                    return
                self._interrupt(heapq.heappop(self._heap)[2])

    def forked(self) -> None:
        """In a process that a tool has forked: what is about to be raised never will be."""
        region = self._region
        if region is not None:
            region.raised = True

    def _run(self) -> None:
        while True:
            call = self._next()
            with self._changed:
                self._interrupt(call)
            del call  # what it holds must not live until the next one

    def _next(self) -> AbandonedCall:
        with self._changed:
            while not self._heap or self._heap[0][0] > time.monotonic():
                wait_s = self._heap[0][0] - time.monotonic() if self._heap else _LONGEST_WAIT_S
                self._changed.wait(min(wait_s, _LONGEST_WAIT_S))
            return heapq.heappop(self._heap)[2]

    def _interrupt(self, call: AbandonedCall) -> None:
        """Under the lock, so that ``forked`` (3) finds the one region where an exception is raised."""
        call.interrupt_due = True  # (5) of region.py: first this, then the look
        self._region = region = call.current_region()
        if region is not None:
            self.count += region.interrupt(call)
        self._region = None
