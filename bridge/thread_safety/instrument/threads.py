"""What is known of each thread of the program, for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence

from ..detector import Access
from .stacks import Stacks

#: How many threads are known by their names.
_MOST_NAMES = 10_000


class ThreadStates(threading.local):
    """Of the calling thread: its number, the call that it runs, its stacks.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
        numbers: where each thread takes its number from.
        names: where each leaves its name.
    """

    def __init__(
        self,
        is_own: Callable[[str], bool],
        numbers: Iterator[int],
        names: dict[Hashable, str],
    ) -> None:
        #: No other thread ever has it. (What ``threading`` says is used again.)
        self.number = next(numbers)
        #: Of all threads, by their numbers.
        self.names = names
        self.note_name()
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

    def note_name(self) -> None:
        """Remember what people know the thread as, as soon as it is known."""
        # not current_thread(), which makes an object for a thread that has none yet
        known = getattr(threading, "_active", {}).get(threading.get_ident())
        if known is not None and self.number not in self.names and len(self.names) < _MOST_NAMES:
            self.names[self.number] = known.name

    @property
    def task(self) -> Hashable:
        """What the thread works for: its call, or, outside of calls, itself."""
        return self.call or self.number
