"""What all calls of a process share."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..context import Elixir
    from .tool_threads import ToolThreads


class CallRuntime:
    """The calls in flight, and what a call needs while it runs. The dispatcher makes it.

    ``calls``: those without an answer. Keys are unique in the process: stdio uses the ids of its
    requests, which are below 2**64; other transports count upwards from there.
    ``interrupting``: held while the callbacks of a call change hands; rare and short.

    Args:
        threads: those that run the tools.
        elixir: the way back to the program that calls; None: there is none.
    """

    __slots__ = ("calls", "interrupting", "threads", "elixir", "_leave_fork")

    def __init__(self, threads: ToolThreads, elixir: Elixir | None = None) -> None:
        self.calls: dict[int, Any] = {}  # of Call, which knows this class
        self.interrupting = threading.Lock()
        self.threads = threads
        self.elixir = elixir
        self._leave_fork: Callable[[], NoReturn] | None = None

    def forked(self, leave: Callable[[], NoReturn]) -> None:
        """In a process that a tool has forked: answer nothing, and ``leave`` instead.

        The locks on the way to a peer may be held by threads that are not here.
        """
        self._leave_fork = leave
        for call in list(self.calls.values()):
            call.forked()

    def answered_elsewhere(self) -> None:
        """Note that a call which ran here is not to be answered here. Leaves a forked process."""
        if self._leave_fork is not None:
            self._leave_fork()
