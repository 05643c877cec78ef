"""Which variables one call reads and writes: those that it needs together."""

from __future__ import annotations

from collections.abc import Hashable

from .benign import Uses
from .happens_before import ThreadState

#: How many variables of one call are known to belong together.
_MOST_TOGETHER = 16


class Together:
    """Which variables a call reads and writes, and whether it reads one twice, or back."""

    __slots__ = ("_read", "_written")

    def __init__(self) -> None:
        #: The variables, each with its locks; and with the holds of its last write.
        self._read: dict[Uses, frozenset[Hashable]] = {}
        self._written: dict[Uses, dict[Hashable, int]] = {}

    def look(
        self, uses: Uses, state: ThreadState, last: dict[Hashable, int] | None, same_place: bool
    ) -> None:
        """The call looks at a variable.

        Args:
            last: the holds at its last look, since when it has not written it; None: there is none.
            same_place: that was where this one is.
        """
        if last is not None and not _share(last, state.holds):
            uses.looked_twice(state.locks.union(last), same_place)
        if uses in self._written and not _share(self._written[uses], state.holds):
            uses.looked_back(state.locks)
        if uses not in self._read and len(self._read) < _MOST_TOGETHER:
            for other, locks in self._read.items():
                if uses.guard is not None or other.guard is not None:
                    uses.was_read_with(other, locks | state.locks)
            self._read[uses] = state.locks

    def write(self, uses: Uses, state: ThreadState) -> None:
        """The call writes a variable."""
        if uses not in self._written and len(self._written) < _MOST_TOGETHER:
            for other in self._written:
                uses.went_with(other)
        if uses in self._written or len(self._written) < _MOST_TOGETHER:
            self._written[uses] = state.holds


def _share(holds: dict[Hashable, int], others: dict[Hashable, int]) -> bool:
    """Whether one lock was held all the time between."""
    return any(others.get(lock) == hold for lock, hold in holds.items())
