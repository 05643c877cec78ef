"""How calls keep each other out with locks of their program's making, as readers and writers do."""

from __future__ import annotations

from collections.abc import Hashable

from .findings import Access
from .happens_before import Variable

#: How much is remembered of how a call keeps others out.
_MOST = 1000


class Announcements:
    """How a call keeps others out with locks of its program's making, as readers and writers do.

    Whoever reads has changed a count under a lock, whoever writes tests the count, and writes while it holds
    the same lock.
    """

    __slots__ = ("asked", "made", "number")

    def __init__(self) -> None:
        #: The variables that were changed under a lock, each with the lock and when it was.
        self.made: dict[tuple[Variable, Hashable], list[int]] = {}
        self.number = 0
        #: The variables that were tested under a lock, each with the lock and its hold.
        self.asked: set[tuple[Variable, Hashable, int]] = set()

    def changed(self, variable: Variable, holds: dict[Hashable, int]) -> None:
        """The call changes a variable under these locks."""
        self.number += 1
        if len(self.made) < _MOST and self.number < _MOST:
            for lock in holds:
                self.made.setdefault((variable, lock), []).append(self.number)

    def holds(self, variable: Variable, lock: Hashable, at: int) -> bool:
        """Whether the call had announced itself by that variable and not taken it back, at that time."""
        changes = sum(number <= at for number in self.made.get((variable, lock), ()))
        return changes % 2 == 1

    def tested(self, variable: Variable, holds: dict[Hashable, int]) -> None:
        """The call decides by a variable that it saw under these locks."""
        if len(self.asked) < _MOST:
            self.asked.update((variable, lock, hold) for lock, hold in holds.items())


class CommonLocks:
    """Locks that are taken by the first of several calls, for all that have announced themselves.

    So does a readers-writer lock whose first reader takes the lock of the writers, and whose last one
    gives it back.
    """

    def __init__(self) -> None:
        #: By lock: the variables, each with its lock, by which those announce themselves.
        self._taken_for: dict[Hashable, set[tuple[Variable, Hashable]]] = {}

    def taken(self, lock: Hashable, access: Access) -> None:
        """A lock is taken: perhaps by the first of those that announce themselves, for all of them."""
        announced = access.announcements
        if announced is None or not announced.asked or not access.holds:
            return
        for variable, other, hold in announced.asked:
            announces = announced.holds(variable, other, access.announced_at)
            if announces and access.holds.get(other) == hold and len(self._taken_for) < _MOST:
                self._taken_for.setdefault(lock, set()).add((variable, other))

    def keep_apart(self, one: Access, another: Access) -> bool:
        """Whether one is made under a lock that was taken for those that announced what the other has."""
        if not self._taken_for:
            return False
        return self._is_kept_from(one, another) or self._is_kept_from(another, one)

    def _is_kept_from(self, one: Access, another: Access) -> bool:
        kept = (each for lock in one.locks for each in self._taken_for.get(lock, ()))
        return any(has_announced(another, *each) and not has_announced(one, *each) for each in kept)


def asks_for(asking: Access, announced: Access) -> bool:
    """Whether an access is made only if nobody has announced what the other had announced before."""
    if asking.announcements is None or announced.announcements is None:
        return False
    return any(
        asking.holds.get(lock) == hold
        and announced.announcements.holds(variable, lock, announced.announced_at)
        for variable, lock, hold in asking.announcements.asked
    )


def has_announced(access: Access, variable: Variable, lock: Hashable) -> bool:
    """Whether the call that makes an access had announced itself so, and not taken it back."""
    made = access.announcements
    return made is not None and made.holds(variable, lock, access.announced_at)
