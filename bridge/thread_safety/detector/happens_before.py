"""Which access comes after which: vector clocks, and what carries them from thread to thread.

Two things do. Hand-overs, as a queue, an event or the start of a thread, make a *firm* order. And
programs build hand-overs of their own: a flag or a count that is changed under a lock, and tested
under it before somebody goes on (a readers-writer lock, "busy", "ready"). Whoever decides by such
a variable comes after those who changed it. That is a *soft* order: it keeps accesses apart, but
not the steps of one decision.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeAlias

from .benign import Uses
from .findings import Access

#: The components of a vector clock that are not zero, by thread.
Times: TypeAlias = dict[Hashable, int]


#: Under how many locks a variable is known to have been changed.
_MAX_LOCKS = 100


class Clock:
    """What was done before: ``firm``, by hand-overs alone, and ``soft``, also by decisions."""

    __slots__ = ("firm", "soft")

    def __init__(self, firm: Times, soft: Times) -> None:
        self.firm = firm
        self.soft = soft

    def copy(self) -> Clock:
        """The clock as it is now."""
        return Clock(self.firm.copy(), self.soft.copy())

    def merge(self, other: Clock) -> None:
        """Add what was done before ``other``."""
        merge(self.firm, other.firm)
        self.soften(other.soft)

    def soften(self, times: Times) -> None:
        """Add what a decision says was done before: to a new object, for looks keep the old one."""
        if any(time > self.soft.get(thread, 0) for thread, time in times.items()):
            self.soft = self.soft.copy()
            merge(self.soft, times)


class Variable:
    """What is known of one variable: the latest accesses of each kind, and how often it changed."""

    __slots__ = (
        "accesses", "changed_by", "changed_by_other", "changes", "first", "overwritten_by", "sent",
        "uses", "writes", "_by_others",
    )  # fmt: skip

    def __init__(self, first: Hashable) -> None:
        #: the thread that had it first; None as soon as there are two
        self.first: Hashable | None = first
        #: by thread, mode and locks
        self.accesses: dict[Hashable, Access] = {}
        #: how often it was changed, and by which call the last time
        self.changes = 0
        self.changed_by: Hashable = None
        #: and by which other call before that
        self.changed_by_other: Hashable = None
        #: which of the changes was the last that another call made before that one began
        self._by_others = 0
        #: by lock: what was done before by those that changed it under that lock
        self.sent: dict[Hashable, Times] = {}
        #: since there are two threads
        self.writes = 0
        #: how the calls use it; of a variable that has a name, or an item
        self.uses: Uses | None = None
        #: the call that wrote a part last; of a whole
        self.overwritten_by: Hashable = None

    def change(self, call: Hashable) -> int:
        """A call changes it. Returns which change was the last of another call, 0 if there is none."""
        if self.changed_by != call:
            self.changed_by_other = self.changed_by
            self._by_others, self.changed_by = self.changes, call
        self.changes += 1
        return self._by_others

    def send(self, lock: Hashable, times: Times) -> None:
        """It was changed under a lock, after all that ``times`` stand for."""
        if lock not in self.sent and len(self.sent) >= _MAX_LOCKS:
            del self.sent[next(iter(self.sent))]
        merge(self.sent.setdefault(lock, {}), times)


class ThreadState:
    """What is known of one thread: its clock, and the locks that it holds."""

    __slots__ = ("_name", "changed", "clock", "holds", "locks")

    def __init__(self, name: Hashable) -> None:
        self._name = name
        self.clock = Clock({name: 1}, {name: 1})
        #: Each lock that is held, with the number of the hold. Never changed: looks keep it.
        self.holds: dict[Hashable, int] = {}
        self.locks: frozenset[Hashable] = frozenset()
        #: The variables that were changed under each lock since it is held.
        self.changed: dict[Hashable, set[Variable]] = {}

    @property
    def time(self) -> int:
        """The component of its clock that is its own."""
        return self.clock.firm[self._name]

    def hold(self, lock: Hashable, number: int) -> None:
        """A lock is held from now on."""
        self._set_holds({**self.holds, lock: number})

    def give_up(self, lock: Hashable) -> None:
        """A lock that is held is held no more; what was changed under it is published by it."""
        self._set_holds({held: number for held, number in self.holds.items() if held != lock})
        changed = self.changed.pop(lock, None)
        if changed:
            for variable in changed:
                variable.send(lock, self.clock.soft)
            self._step()

    def sent(self) -> Clock:
        """What was done so far; what comes is later."""
        clock = self.clock.copy()
        self._step()
        return clock

    def _set_holds(self, holds: dict[Hashable, int]) -> None:
        self.holds, self.locks = holds, frozenset(holds)

    def _step(self) -> None:
        """What comes is later than what was."""
        self.clock.firm[self._name] += 1
        self.clock.soft[self._name] += 1


class HappensBefore:
    """The threads: which locks each holds, and which comes after which."""

    def __init__(self) -> None:
        self._threads: dict[Hashable, ThreadState] = {}
        self._holds = 0

    def acquire(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` holds ``lock`` from now on. For reentrant locks: only the outermost time."""
        self._holds += 1
        self.state(thread).hold(lock, self._holds)

    def release(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` gives ``lock`` up; no effect if another thread had taken it."""
        state = self.state(thread)
        if lock in state.holds:
            state.give_up(lock)

    def send(self, thread: Hashable) -> Clock:
        """What ``thread`` has done so far: to be passed to ``receive`` where it is handed over."""
        return self.state(thread).sent()

    def receive(self, thread: Hashable, clock: Clock) -> None:
        """All that ``clock`` stands for was done before what ``thread`` does from now on."""
        self.state(thread).clock.merge(clock)

    def receive_softly(self, thread: Hashable, clock: Clock) -> None:
        """The same, if the program keeps to what it does about its locks here."""
        self.state(thread).clock.soften(clock.soft)

    def held(self, thread: Hashable) -> frozenset[Hashable]:
        """The locks that ``thread`` holds."""
        return self.state(thread).locks

    def state(self, thread: Hashable) -> ThreadState:
        """What is known of a thread; it may be new."""
        state = self._threads.get(thread)
        if state is None:
            state = self._threads[thread] = ThreadState(thread)
        return state


def merge(times: Times, others: Times) -> None:
    """Add to ``times`` what was done before ``others``."""
    for thread, time in others.items():
        if time > times.get(thread, 0):
            times[thread] = time
