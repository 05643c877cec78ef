"""What is known of each thread of the program, for itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Sequence

from ..detector import Access
from .stacks import Stacks


class ThreadStates(threading.local):
    """Of the calling thread: its number, the call that it runs, its stacks.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
    """

    _numbers = itertools.count(1)

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        #: No other thread ever has it. (What ``threading`` says is used again.)
        self.number = next(self._numbers)
        #: None outside of calls.
        self.call: Hashable = None
        #: How often each lock that nobody traces is held, by its id.
        self.depths: dict[int, int] = {}
        self.stacks = Stacks(is_own)
        #: How many points the call has come to, and those at which it pauses; the next comes last.
        self.points = 0
        self.pauses: Sequence[int] = ()
        #: Of thread-local attributes: what calls have written, and what this one looked for before.
        self.left: dict[Hashable, Access] = {}
        self.looked_for: set[Hashable] = set()
        #: The branches that the call has taken.
        self.path: set[str] = set()
        #: Whether it did not get a lock that it did not wait for.
        self.gave_up = False

    @property
    def task(self) -> Hashable:
        """What the thread works for: its call, or, outside of calls, itself."""
        return self.call or self.number
