"""Which access comes after which: vector clocks, and what carries them from thread to thread.

Two things do. Hand-overs, as a queue, an event or the start of a thread, make a *firm* order. And
programs build hand-overs of their own: a flag or a count that is changed under a lock, and tested
under it before somebody goes on (a readers-writer lock, "busy", "ready"). Who decides by such a
variable comes after those who changed it. That is a *soft* order: it keeps accesses apart, but not
the steps of one decision.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import TypeAlias

    from .findings import Access

    #: The components of a vector clock that are not zero, by thread.
    Times: TypeAlias = dict[Hashable, int]


class Clock:
    """What was done before: ``firm``, by hand-overs alone, and ``soft``, also by decisions."""

    __slots__ = ("firm", "soft")

    def __init__(self, firm: Times, soft: Times) -> None:
        self.firm = firm
        self.soft = soft

    def copy(self) -> Clock:
        return Clock(self.firm.copy(), self.soft.copy())

    def merge(self, other: Clock) -> None:
        """Add what was done before ``other``."""
        merge(self.firm, other.firm)
        merge(self.soft, other.soft)


class Variable:
    """What is known of one variable: the latest accesses of each kind, and how often it changed."""

    __slots__ = ("accesses", "changes", "first", "sent", "writes")

    def __init__(self, first: Hashable) -> None:
        #: the thread that had it first; None as soon as there are two
        self.first: Hashable | None = first
        #: by thread, mode and locks
        self.accesses: dict[Hashable, Access] = {}
        #: the calls that changed it, one after another
        self.changes: list[Hashable] = []
        #: by lock: what those had done who changed it under that lock
        self.sent: dict[Hashable, Times] = {}
        #: since there are two threads
        self.writes = 0


class Thread:
    """What is known of one thread: its clock, and the locks that it holds."""

    __slots__ = ("changed", "clock", "holds", "locks")

    def __init__(self, name: Hashable) -> None:
        self.clock = Clock({name: 1}, {name: 1})
        #: Each lock that is held, with the number of the hold. Never changed: looks keep it.
        self.holds: dict[Hashable, int] = {}
        self.locks: frozenset[Hashable] = frozenset()
        #: The variables that were changed under each lock since it is held.
        self.changed: dict[Hashable, set[Variable]] = {}

    def time(self, name: Hashable) -> int:
        return self.clock.firm[name]

    def sent(self, name: Hashable) -> Clock:
        """What was done so far; what comes is later."""
        clock = self.clock.copy()
        self.step(name)
        return clock

    def step(self, name: Hashable) -> None:
        """What comes is later than what was."""
        self.clock.firm[name] += 1
        self.clock.soft[name] += 1


class Order:
    """The threads: who holds which lock, and who comes after whom."""

    def __init__(self) -> None:
        self._threads: dict[Hashable, Thread] = {}
        self._holds = 0

    def acquire(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` holds ``lock`` from now on. For reentrant locks: only the outermost time."""
        state = self._thread(thread)
        self._holds += 1
        holds = state.holds.copy()
        holds[lock] = self._holds
        state.holds, state.locks = holds, frozenset(holds)

    def release(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` gives ``lock`` up; no effect if another thread had taken it."""
        state = self._thread(thread)
        if lock not in state.holds:
            return
        holds = state.holds.copy()
        del holds[lock]
        state.holds, state.locks = holds, frozenset(holds)
        changed = state.changed.pop(lock, None)
        if changed:
            for variable in changed:
                merge(variable.sent.setdefault(lock, {}), state.clock.soft)
            state.step(thread)

    def send(self, thread: Hashable) -> Clock:
        """What ``thread`` has done so far: to be passed to ``receive`` where it is handed over."""
        return self._thread(thread).sent(thread)

    def receive(self, thread: Hashable, clock: Clock) -> None:
        """All that ``clock`` stands for was done before what ``thread`` does from now on."""
        self._thread(thread).clock.merge(clock)

    def receive_softly(self, thread: Hashable, clock: Clock) -> None:
        """The same, if the program keeps to what it does about its locks here."""
        merge(self._thread(thread).clock.soft, clock.soft)

    def held(self, thread: Hashable) -> frozenset[Hashable]:
        """The locks that ``thread`` holds."""
        return self._thread(thread).locks

    def _thread(self, thread: Hashable) -> Thread:
        state = self._threads.get(thread)
        if state is None:
            state = self._threads[thread] = Thread(thread)
        return state


def merge(times: Times, others: Times) -> None:
    """Add to ``times`` what was done before ``others``."""
    for thread, time in others.items():
        if time > times.get(thread, 0):
            times[thread] = time
