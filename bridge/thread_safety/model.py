"""The race detector: a state machine fed with what threads do. No threads, clocks or globals here.

It is a hybrid of two classic methods. *Locksets* (Savage et al., "Eraser", ACM TOCS 15(4), 1997):
two accesses to the same variable race if no lock is held at both. That finds races in runs where
nothing went wrong, but does not know of variables that are handed over. *Happens-before*
(Lamport, CACM 21(7), 1978; the vector clocks of Flanagan and Freund, "FastTrack", PLDI 2009) knows:
accesses that a queue, an event or the start of a thread puts in order do not race. As in O'Callahan
and Choi ("Hybrid dynamic data race detection", PPoPP 2003) only such hand-overs make an order;
locks do not, because in the next run they may be taken the other way round.

Programs also build hand-overs of their own: a flag or a count that is changed under a lock, and
tested under it before somebody goes on (a readers-writer lock, "busy", "ready"). Who decides by such
a variable comes after those who changed it. That is a *soft* order: it keeps accesses apart, but not
the steps of one decision.

CPython has variables whose single operations are atomic, its containers. So an access has a
*mode*, and ``CONFLICTS`` says which modes race. A thread that decides by what it reads and writes
later (check-then-act, or ``+=``) needs one lock over both: it is not enough that each has one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Any, TypeAlias

    #: The components of a vector clock that are not zero, by thread.
    Times: TypeAlias = dict[Hashable, int]
    #: A place in the code: file, line, function. The innermost comes first.
    Frame: TypeAlias = tuple[str, int, str]

#: How plain variables, attributes and items, are accessed.
READ, WRITE = "read", "write"
#: Atomic changes of one item: ``set.add``, ``dict.setdefault``.
TOUCH = "touch"
#: How the structure of a container is used: looked at by an atomic operation; copied; walked through
#: live; grown and shrunk atomically; put in another order.
PEEK, COPY, ITERATE, GROW, SHRINK, REORDER = "peek", "copy", "iterate", "grow", "shrink", "reorder"
#: A change that was decided by an earlier look at the same variable.
ACT = "act"

_MODES = (READ, WRITE, TOUCH, PEEK, COPY, ITERATE, GROW, SHRINK, REORDER, ACT)
_LOOKS = frozenset([READ, PEEK, COPY, ITERATE])
#: Modes that race with each other, unless a lock or a hand-over keeps them apart.
_PAIRS = [
    (READ, WRITE), (WRITE, WRITE), (WRITE, TOUCH),
    (ITERATE, GROW), (ITERATE, SHRINK), (ITERATE, REORDER), (PEEK, REORDER),
    (REORDER, REORDER), (REORDER, GROW), (REORDER, SHRINK),
    (ACT, ACT), (ACT, WRITE), (ACT, TOUCH), (ACT, GROW), (ACT, SHRINK), (ACT, REORDER),
    (ACT, ITERATE), (ACT, READ), (ACT, PEEK), (ACT, COPY), (COPY, REORDER),
]  # fmt: skip
CONFLICTS: dict[str, frozenset[str]] = {
    mode: frozenset(other for other in _MODES if (mode, other) in _PAIRS or (other, mode) in _PAIRS)
    for mode in _MODES
}

OBSERVED, DISCIPLINE, DOCUMENTED = "observed", "discipline", "documented"


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
        _merge(self.firm, other.firm)
        _merge(self.soft, other.soft)


class Access:
    """One access to a variable, as it is remembered."""

    __slots__ = (
        "call", "cover", "decided_at", "locks", "mode", "rule", "stack", "thread", "time", "unfinished"
    )  # fmt: skip

    def __init__(
        self,
        thread: Hashable,
        time: int,
        mode: str,
        locks: frozenset[Hashable],
        stack: Sequence[Frame],
        call: Hashable,
        rule: str | None = None,
        unfinished: bool = False,
    ) -> None:
        self.thread = thread
        self.time = time
        self.mode = mode
        self.locks = locks
        self.stack = stack
        self.call = call
        #: What is documented about such accesses.
        self.rule = rule
        #: Is it made by the call that published the object, or said that it is there, after it did?
        self.unfinished = unfinished
        #: Of ``ACT``: the place of the test that decided it.
        self.decided_at: Frame | None = None
        #: The locks that were held all the time since the look; without one, those that are held.
        self.cover = locks

    def copy(self) -> Access:
        """The access as it is now; the detector makes the next one of it."""
        copy = Access(
            self.thread, self.time, self.mode, self.locks, self.stack, self.call, self.rule,
            self.unfinished,
        )  # fmt: skip
        copy.decided_at, copy.cover = self.decided_at, self.cover
        return copy


class Finding:
    """A race, or a broken rule. ``first`` and ``second``: the two accesses; the second may be None.

    ``grade``: ``observed`` (the accesses came in between each other), ``discipline`` (nothing
    keeps them apart) or ``documented`` (a rule of the library table).
    """

    def __init__(
        self,
        grade: str,
        variable: str,
        problem: str,
        advice: str,
        first: Access,
        second: Access | None = None,
    ) -> None:
        self.grade = grade
        self.variable = variable
        self.problem = problem
        self.advice = advice
        self.first = first
        self.second = second

    @property
    def key(self) -> tuple[Any, ...]:
        """Findings with the same key are one: the same variable, at the same two lines."""
        lines = [self.first.stack[:1]] + ([self.second.stack[:1]] if self.second else [])
        return (self.variable, *sorted(tuple(line) for line in lines))


class _Variable:
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


class _Look:
    """The last look of a call at a variable, until the call changes it itself."""

    __slots__ = ("at", "changes", "decides", "holds", "mode", "number", "tested")

    def __init__(
        self, mode: str, holds: dict[Hashable, int], changes: int, number: int, at: Frame | None
    ) -> None:
        self.mode = mode
        self.at = at
        #: the locks, each with its hold
        self.holds = holds
        #: how often the variable had been changed
        self.changes = changes
        #: how many looks the call had made
        self.number = number
        #: Does it depend on the look whether the call comes to where it is?
        self.decides = False
        #: Did it once?
        self.tested = False


class _Call:
    __slots__ = ("decisions", "flags", "looks", "named", "number", "raised")

    def __init__(self) -> None:
        #: Variables that were tested without a lock, and the holds under which one was written since.
        self.flags: set[_Variable] = set()
        self.raised: dict[Hashable, int] = {}
        #: The latest comes last.
        self.looks: dict[_Variable, _Look] = {}
        self.number = 0
        #: What the values of local variables, and the tests around the current line, come from.
        self.named: dict[Hashable, list[tuple[_Variable, _Look]]] = {}
        self.decisions: dict[Hashable, list[_Look]] = {}

    def since(self, mark: int) -> list[tuple[_Variable, _Look]]:
        """The looks that came after ``mark``."""
        found = []
        for variable, look in reversed(self.looks.items()):
            if look.number <= mark:
                break
            found.append((variable, look))
        return found


class _Thread:
    __slots__ = ("changed", "clock", "holds", "locks")

    def __init__(self, name: Hashable) -> None:
        self.clock = Clock({name: 1}, {name: 1})
        #: Each lock that is held, with the number of the hold.
        self.holds: dict[Hashable, int] = {}
        self.locks: frozenset[Hashable] = frozenset()
        #: The variables that were changed under each lock since it is held.
        self.changed: dict[Hashable, set[_Variable]] = {}

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


class Detector:
    """Finds races in the events it is told of. Not thread-safe itself: tell it one after another.

    Threads, locks, variables and calls are any hashable values. ``found`` is called with each new
    finding, once for each ``Finding.key``.
    """

    def __init__(self, found: Callable[[Finding], object]) -> None:
        self._found = found
        self._threads: dict[Hashable, _Thread] = {}
        self._variables: dict[Hashable, dict[Hashable, _Variable]] = {}
        self._keys: set[Hashable] = set()
        self._holds = 0
        self._running: set[Hashable] = set()
        self._calls: dict[Hashable, _Call] = {}

    # -- locks and hand-overs ---------------------------------------------------------------

    def acquire(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` holds ``lock`` from now on. For reentrant locks: only the outermost time."""
        state = self._thread(thread)
        self._holds += 1
        state.holds[lock] = self._holds
        state.locks = frozenset(state.holds)

    def release(self, thread: Hashable, lock: Hashable) -> None:
        """``thread`` gives ``lock`` up; no effect if another thread had taken it."""
        state = self._thread(thread)
        if state.holds.pop(lock, None) is None:
            return
        state.locks = frozenset(state.holds)
        changed = state.changed.pop(lock, None)
        if changed:
            for variable in changed:
                _merge(variable.sent.setdefault(lock, {}), state.clock.soft)
            state.step(thread)

    def send(self, thread: Hashable) -> Clock:
        """What ``thread`` has done so far: to be passed to ``receive`` where it is handed over."""
        return self._thread(thread).sent(thread)

    def receive(self, thread: Hashable, clock: Clock) -> None:
        """All that ``clock`` stands for was done before what ``thread`` does from now on."""
        self._thread(thread).clock.merge(clock)

    def receive_softly(self, thread: Hashable, clock: Clock) -> None:
        """The same, if the program keeps to what it does about its locks here."""
        _merge(self._thread(thread).clock.soft, clock.soft)

    def held(self, thread: Hashable) -> frozenset[Hashable]:
        """The locks that ``thread`` holds."""
        return self._thread(thread).locks

    # -- accesses ---------------------------------------------------------------------------

    def begin(self, call: Hashable) -> None:
        """A call begins to run, or goes on."""
        self._running.add(call)

    def end(self, call: Hashable) -> None:
        """The call has ended, and with it what it was about to decide."""
        self._running.discard(call)
        self._calls.pop(call, None)

    def mark(self, call: Hashable) -> int:
        """A point in the course of a call: how many looks it has made."""
        made = self._calls.get(call)
        return 0 if made is None else made.number

    def name(self, call: Hashable, name: Hashable, mark: int, names: Sequence[Hashable]) -> None:
        """A local variable got its value from the looks since ``mark``, and from other ones."""
        made = self._calls.get(call)
        if made is not None:
            made.named[name] = self._causes(made, mark, names)

    def decide(
        self, thread: Hashable, call: Hashable, test: Hashable, mark: int, names: Sequence[Hashable]
    ) -> None:
        """The looks since ``mark``, and those behind local variables, decide how a call goes on.

        So it comes after those who have changed what it looked at, under a lock of both.
        ``test``: for ``settle``; None: the decision is over at once.
        """
        made = self._calls.get(call)
        if made is None:
            return
        causes = self._causes(made, mark, names)
        soft = self._thread(thread).clock.soft
        for variable, look in causes:
            for lock in look.holds:
                if lock in variable.sent:
                    _merge(soft, variable.sent[lock])
            if not look.holds:
                made.flags.add(variable)
            look.decides |= test is not None
            look.tested = True
        if test is not None:
            made.decisions[test] = [look for _, look in causes]

    def settle(self, call: Hashable, test: Hashable) -> None:
        """The lines that depend on a test are left: it decides nothing more."""
        made = self._calls.get(call)
        for look in made.decisions.pop(test, ()) if made is not None else ():
            look.decides = False

    def access(
        self,
        thread: Hashable,
        owner: Hashable,
        part: Hashable,
        mode: str,
        name: str,
        stack: Sequence[Frame],
        call: Hashable = None,
        rule: str | None = None,
        unfinished: bool = False,
        augmented: bool = False,
    ) -> None:
        """``thread`` accesses the variable ``part`` of ``owner``, which people know as ``name``.

        ``call``: what the thread is working for; looks and changes are connected within it.
        ``rule``: what is documented about such accesses. ``unfinished``: it is made by the call that
        published the object, which others may have found already. ``augmented``: the look is the first
        half of ``+=``, and nothing is checked by it.
        """
        parts = self._variables.get(owner)
        if parts is None:
            parts = self._variables[owner] = {}
        variable = parts.get(part)
        if variable is None:
            variable = parts[part] = _Variable(thread)
        state = self._thread(thread)
        if variable.first != thread:
            variable.first = None
        interleaved, decided_at, cover = False, None, state.locks
        if mode in _LOOKS:
            unfinished = False
            self._look(variable, state, mode, call, augmented, stack[0] if stack else None)
        else:
            mode, interleaved, decided_at, cover = self._change(variable, state, mode, call)
            unfinished = self._is_late(variable, state, call) or unfinished
        key = thread, mode, state.locks
        turn = self._other_turn(variable, thread, call) if interleaved else None
        access = variable.accesses.get(key)
        if access is None:
            access = variable.accesses[key] = Access(
                thread, state.time(thread), mode, state.locks, stack, call, rule, unfinished
            )
        else:
            # a new object for each would cost more than all the rest
            access.time, access.stack, access.call = state.time(thread), stack, call
            access.rule, access.unfinished = rule, unfinished
        access.decided_at, access.cover = decided_at, cover
        if turn is not None:
            self._report(name, turn, access, interleaved)
        for other in variable.accesses.values():
            if other.thread != thread and self._race(variable, other, access, state.clock):
                self._report(name, other, access, interleaved)
                break

    def look_again(self, call: Hashable, owner: Hashable, part: Hashable) -> None:
        """An atomic change follows, which looks for itself: what the call has seen is no matter."""
        made, variable = self._calls.get(call), self._variables.get(owner, {}).get(part)
        if made is not None and variable is not None:
            made.looks.pop(variable, None)

    def forget(self, owner: Hashable) -> None:
        """All accesses to parts of ``owner`` so far are over, or it has ceased to exist."""
        self._variables.pop(owner, None)

    def rule(self, finding: Finding) -> None:
        """Report what another rule has found."""
        if finding.key not in self._keys:
            self._keys.add(finding.key)
            self._found(finding)

    # -- parts ------------------------------------------------------------------------------

    def _causes(
        self, made: _Call, mark: int, names: Sequence[Hashable]
    ) -> list[tuple[_Variable, _Look]]:
        causes = made.since(mark)
        for name in names:
            causes.extend(made.named.get(name, ()))
        return causes

    def _look(
        self,
        variable: _Variable,
        state: _Thread,
        mode: str,
        call: Hashable,
        augmented: bool,
        at: Frame | None,
    ) -> None:
        made = self._calls.get(call)
        if made is None:
            made = self._calls[call] = _Call()
        last = made.looks.pop(variable, None)
        made.number += 1
        if augmented and last is not None and last.decides:
            last.number = made.number
            made.looks[variable] = last
        else:
            changes = len(variable.changes)
            made.looks[variable] = _Look(mode, state.holds.copy(), changes, made.number, at)

    def _change(
        self, variable: _Variable, state: _Thread, mode: str, call: Hashable
    ) -> tuple[str, bool, Frame | None, frozenset[Hashable]]:
        """The mode of a change, given what its call has looked at; whether others came between;
        where it was decided, and under which locks all the time since."""
        made = self._calls.get(call)
        look = None if made is None else made.looks.pop(variable, None)
        for lock in state.holds:
            state.changed.setdefault(lock, set()).add(variable)
        changes = variable.changes
        changes.append(call)
        if mode == WRITE and variable.first is None:
            variable.writes += 1
        if look is None:
            return mode, False, None, state.locks
        cover = frozenset(k for k, hold in look.holds.items() if state.holds.get(k) == hold)
        if cover and cover == state.locks:
            return mode, False, None, cover
        if _is_independent(look, mode, bool(look.holds and state.holds)):
            return mode, False, None, state.locks
        between = any(other != call for other in changes[look.changes : -1])
        return ACT, between, look.at if look.tested else None, cover

    def _other_turn(self, variable: _Variable, thread: Hashable, call: Hashable) -> Access | None:
        """A change by another task: those of one event loop take turns, but only where they await."""
        for other in variable.accesses.values():
            if other.thread == thread and other.call != call and other.mode not in _LOOKS:
                return other.copy()
        return None

    def _is_late(self, variable: _Variable, state: _Thread, call: Hashable) -> bool:
        """Is something written after a flag that others test without the lock was raised?"""
        made = self._calls.get(call)
        if made is None or not made.flags:
            return False
        late = any(state.holds.get(lock) == hold for lock, hold in made.raised.items())
        if variable in made.flags:
            made.raised.update(state.holds)
        return late

    def _race(self, variable: _Variable, old: Access, new: Access, clock: Clock) -> bool:
        if new.mode not in CONFLICTS[old.mode]:
            return False
        modes = {old.mode, new.mode}
        if not old.cover.isdisjoint(new.cover):
            return False
        torn = ACT in modes and old.locks and new.locks  # let go of between look and change
        # there, who decides by the variable in the next run may come at any moment
        firmly = torn or old.unfinished or new.unfinished
        if (clock.firm if firmly else clock.soft).get(old.thread, 0) >= old.time:
            return False  # handed over
        if ACT in modes and not modes & _LOOKS:
            return True  # between look and change the other may come, whatever it holds
        if _may_decide_the_same(old, new) or _may_decide_the_same(new, old):
            return True
        if not old.locks.isdisjoint(new.locks):
            return False
        if modes == {READ, WRITE} and variable.writes <= 1:
            # written once, under a lock: that is how something is published, and reading a
            # reference is atomic
            write = old if old.mode == WRITE else new
            return write.unfinished or not write.locks
        return True

    def _report(self, name: str, old: Access, new: Access, interleaved: bool) -> None:
        together = old.call in self._running and old.call != new.call
        grade = OBSERVED if interleaved or together else DISCIPLINE
        if new.rule is not None:
            grade = DOCUMENTED
        advice = new.rule or _advice(old, new)
        self.rule(Finding(grade, name, _problem(old, new), advice, old.copy(), new.copy()))

    def _thread(self, thread: Hashable) -> _Thread:
        state = self._threads.get(thread)
        if state is None:
            state = self._threads[thread] = _Thread(thread)
        return state


def _is_independent(look: _Look, mode: str, locked: bool) -> bool:
    """Does what is added not depend on what was seen there before?"""
    if mode == TOUCH:
        return locked and not look.tested
    return mode == GROW and not look.decides and (locked or (look.mode == COPY and not look.tested))


def _may_decide_the_same(act: Access, look: Access) -> bool:
    """Could the one who looked have come to the same change, before it was made?"""
    return (
        act.decided_at is not None and look.mode in _LOOKS and look.stack[:1] == (act.decided_at,)
    )


def _merge(times: Times, others: Times) -> None:
    for thread, time in others.items():
        if time > times.get(thread, 0):
            times[thread] = time


_WORDS = {
    READ: "reads it", WRITE: "writes it", TOUCH: "changes it", PEEK: "looks at it", COPY: "copies it",
    ITERATE: "iterates over it", GROW: "adds to it", SHRINK: "takes from it",
    REORDER: "puts it in another order", ACT: "changes it, decided by an earlier look",
}  # fmt: skip


def _problem(old: Access, new: Access) -> str:
    return f"one thread {_WORDS[old.mode]}, another {_WORDS[new.mode]}"


def _advice(old: Access, new: Access) -> str:
    if ACT in (old.mode, new.mode):
        return "hold one lock from the look to the change: with self.acquire_lock():"
    if ITERATE in (old.mode, new.mode):
        return "hold one lock around both, or iterate over a copy that was made under the lock"
    if old.locks and new.locks:
        return "both hold a lock, but not the same one: use one lock for this variable"
    if old.locks or new.locks:
        return "only one of them holds a lock: hold the same one at the other"
    return "hold one lock around both (with self.acquire_lock():), or keep it per thread"
