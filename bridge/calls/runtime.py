"""What all calls of a process share."""

from __future__ import annotations

import threading

from ..errors import Interrupted
from .interrupter import Interrupter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..running_call import Elixir
    from .tool_threads import ToolThreads


class CallRuntime:
    """The calls in flight, and what a call needs while it runs. The dispatcher makes it.

    ``calls``: those without an answer. Keys are unique in the process: stdio uses the ids of its
    requests, which are below 2**64; other transports count upwards from there.
    ``interrupting``: held while the callbacks of a call change hands; rare and short.
    ``interrupter``: ends tools whose calls are over. ``ended``: how many ended so.

    Args:
        threads: those that run the tools.
        elixir: the way back to the program that calls; None: there is none.
        interrupter: default: it ends tools that are marked so.
    """

    __slots__ = (
        *("calls", "interrupting", "threads", "elixir"),
        *("interrupter", "ended", "_leave_fork"),
    )

    def __init__(
        self,
        threads: ToolThreads,
        elixir: Elixir | None = None,
        interrupter: Interrupter | None = None,
    ) -> None:
        self.calls: dict[int, Any] = {}  # of Call, which knows this class
        self.interrupting = threading.Lock()
        self.threads = threads
        self.elixir = elixir
        self.interrupter = interrupter or Interrupter()
        self.ended = 0
        self._leave_fork: Callable[[], NoReturn] | None = None

    def forked(self, leave: Callable[[], NoReturn]) -> None:
        """In a process that a tool has forked: answer nothing, and ``leave`` instead.

        The locks on the way to a peer may be held by threads that are not here.
        """
        self._leave_fork = leave
        self.interrupter.forked()
        for call in list(self.calls.values()):
            call.forked()

    def answered_elsewhere(self, failure: BaseException | None = None) -> None:
        """Note that a call which ran here is not to be answered here. Leaves a forked process.

        Args:
            failure: what its tool has raised.
        """
        if self._leave_fork is not None:
            self._leave_fork()
        if failure is not None and issubclass(type(failure), Interrupted):
            with self.interrupting:
                self.ended += 1
