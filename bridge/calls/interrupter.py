"""Ends tools whose calls nobody awaits any more: decides which, and when."""

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

        def current_region(self) -> Region | None: ...


_LONGEST_WAIT_S = 3600.0


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
            self._changed.notify()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bridge-interrupter", daemon=True)
                if start_thread(thread):
                    self._thread = thread

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
        """Under the lock, so that ``forked`` finds the one region where an exception is raised."""
        call.interrupt_due = True  # (5) of region.py: first this, then the look
        self._region = region = call.current_region()
        if region is not None:
            self.count += region.interrupt(call)
        self._region = None
