"""What is to be done in a process that a tool has forked: only the tool's thread is there.

Calls and peer are the parent's. The child must answer nobody, hold nobody's pipe open, and take
no lock whose holder stayed behind. Each part of the process that has something to do with that
offers one method ``forked()``, and this file calls them all.
"""

from __future__ import annotations

import os

from .shutdown import forget_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Forks:
    """Calls ``forked`` of everything that was added, in each process that is forked.

    It takes effect when it is made, and cannot be undone: Python keeps what it is told here.
    """

    def __init__(self) -> None:
        self._parts: list[Callable[[], object]] = [forget_signals]
        os.register_at_fork(after_in_child=self._become_child)

    def add(self, forked: Callable[[], object]) -> None:
        """Have ``forked`` called in a child. It may not block, and runs on the thread that forked."""
        self._parts.append(forked)

    def _become_child(self) -> None:
        for forked in self._parts:
            forked()
