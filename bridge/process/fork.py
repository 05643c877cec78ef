"""What is to be done in a process that a tool has forked: only the tool's thread is there.

Calls and peer are the parent's. The child must answer nobody, hold nobody's pipe open, and take
no lock whose holder stayed behind. Each part of the process that has something to do with that
offers one method ``forked()``, and this file calls them all.
"""

from __future__ import annotations

import os
from threading import get_ident

from .shutdown import forget_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # as in shutdown.py

#: Those that end a process, and that ``forget_signals`` is about.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Forks:
    """Calls ``forked`` of everything that was added, in each process that is forked.

    A signal that comes to a child before it has forgotten our handlers waits until it has: Python would
    drop it, and whoever has sent it would wait for the child's end for ever, as a ``Pool`` of
    ``multiprocessing`` does.

    It takes effect when it is made, and cannot be undone: Python keeps what it is told here.
    """

    def __init__(self) -> None:
        self._parts: list[Callable[[], object]] = [forget_signals]
        #: What each thread that forks had blocked before.
        self._blocked: dict[int, set[int]] = {}
        os.register_at_fork(
            before=self._hold_signals,
            after_in_parent=self._release_signals,
            after_in_child=self._become_child,
        )

    def add(self, forked: Callable[[], object]) -> None:
        """Have ``forked`` called in a child. It may not block, and runs on the thread that forked."""
        self._parts.append(forked)

    def _become_child(self) -> None:
        try:
            for forked in self._parts:
                forked()
        finally:
            self._release_signals()

    def _hold_signals(self) -> None:
        self._blocked[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def _release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked.pop(get_ident()))
