"""The race detector: a state machine fed with what threads do. No threads, clocks or globals here.

It is a hybrid of two classic methods. *Locksets* (Savage et al., "Eraser", ACM TOCS 15(4), 1997):
two accesses to the same variable race if no lock is held at both. That finds races in runs where
nothing went wrong, but does not know of variables that are handed over. *Happens-before*
(Lamport, CACM 21(7), 1978; the vector clocks of Flanagan and Freund, "FastTrack", PLDI 2009) knows:
accesses that a queue, an event or the start of a thread puts in order do not race. As in O'Callahan
and Choi ("Hybrid dynamic data race detection", PPoPP 2003) only such hand-overs make an order;
locks do not, because in the next run they may be taken the other way round.

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
    Clock: TypeAlias = dict[Hashable, int]
    #: A place in the code: file, line, function. The innermost comes first.
    Frame: TypeAlias = tuple[str, int, str]

#: How plain variables, attributes and items, are accessed.
READ, WRITE = "read", "write"
#: Atomic changes of one item: ``set.add``, ``dict.setdefault``.
TOUCH = "touch"
#: How the structure of a container is used: looked at by an atomic operation; walked through
#: live; grown and shrunk atomically; put in another order.
PEEK, ITERATE, GROW, SHRINK, REORDER = "peek", "iterate", "grow", "shrink", "reorder"
#: A change that was decided by an earlier look at the same variable.
ACT = "act"

_LOOKS = frozenset([READ, PEEK, ITERATE])
#: Modes that race with each other, unless a lock or a hand-over keeps them apart.
CONFLICTS = frozenset(
    frozenset(pair)
    for pair in [
        (READ, WRITE), (WRITE, WRITE), (WRITE, TOUCH),
        (ITERATE, GROW), (ITERATE, SHRINK), (ITERATE, REORDER), (PEEK, REORDER),
        (REORDER, REORDER), (REORDER, GROW), (REORDER, SHRINK),
        (ACT, ACT), (ACT, WRITE), (ACT, TOUCH), (ACT, GROW), (ACT, SHRINK), (ACT, REORDER),
        (ACT, ITERATE), (ACT, READ), (ACT, PEEK),
    ]
)  # fmt: skip

OBSERVED, DISCIPLINE, DOCUMENTED = "observed", "discipline", "documented"


class Access:
    """One access to a variable, as it is remembered."""

    __slots__ = ("call", "locks", "mode", "rule", "stack", "thread", "time", "unfinished")

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
        #: Is it made by the call that published the object, after it did?
        self.unfinished = unfinished


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

    __slots__ = ("accesses", "changes", "first", "looks", "writes")

    def __init__(self, first: Hashable) -> None:
        #: the thread that had it first; None as soon as there are two
        self.first: Hashable | None = first
        #: by thread, mode and locks
        self.accesses: dict[Hashable, Access] = {}
        #: the calls that changed it, one after another
        self.changes: list[Hashable] = []
        #: by call: the locks, each with its hold, and the number of changes at its last look;
        #: gone when it changes the variable itself
        self.looks: dict[Hashable, tuple[dict[Hashable, int], int]] = {}
        #: since there are two threads
        self.writes = 0


class _Thread:
    __slots__ = ("clock", "holds", "locks")

    def __init__(self, name: Hashable) -> None:
        self.clock: Clock = {name: 1}
        #: Each lock that is held, with the number of the hold.
        self.holds: dict[Hashable, int] = {}
        self.locks: frozenset[Hashable] = frozenset()


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
        #: The calls that run, with the variables that each has looked at.
        self._running: dict[Hashable, list[_Variable]] = {}

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
        if state.holds.pop(lock, None) is not None:
            state.locks = frozenset(state.holds)

    def send(self, thread: Hashable) -> Clock:
        """What ``thread`` has done so far: to be passed to ``receive`` where it is handed over."""
        state = self._thread(thread)
        clock = dict(state.clock)
        state.clock[thread] += 1
        return clock

    def receive(self, thread: Hashable, clock: Clock) -> None:
        """All that ``clock`` stands for was done before what ``thread`` does from now on."""
        own = self._thread(thread).clock
        for other, time in clock.items():
            if time > own.get(other, 0):
                own[other] = time

    def held(self, thread: Hashable) -> frozenset[Hashable]:
        """The locks that ``thread`` holds."""
        return self._thread(thread).locks

    # -- accesses ---------------------------------------------------------------------------

    def begin(self, call: Hashable) -> None:
        """A call begins to run, or goes on."""
        self._running.setdefault(call, [])

    def end(self, call: Hashable) -> None:
        """The call has ended, and with it what it was about to decide."""
        for variable in self._running.pop(call, ()):
            variable.looks.pop(call, None)

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
    ) -> None:
        """``thread`` accesses the variable ``part`` of ``owner``, which people know as ``name``.

        ``call``: what the thread is working for; looks and changes are connected within it.
        ``rule``: what is documented about such accesses. ``unfinished``: it is made by the call that
        published the object, which others may have found already.
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
        interleaved = False
        if mode in _LOOKS:
            variable.looks[call] = state.holds.copy(), len(variable.changes)
            if call in self._running:
                self._running[call].append(variable)
        else:
            mode, interleaved = self._change(variable, state, mode, call)
        access = Access(
            thread, state.clock[thread], mode, state.locks, stack, call, rule, unfinished
        )
        for other in variable.accesses.values():
            if other.thread == thread:
                # tasks of one event loop take turns, but only where they await
                race = interleaved and other.call != call and other.mode not in _LOOKS
            else:
                race = self._race(variable, other, access, state.clock)
            if race:
                self._report(name, other, access, interleaved)
                break
        variable.accesses[thread, mode, state.locks] = access

    def forget(self, owner: Hashable) -> None:
        """All accesses to parts of ``owner`` so far are over, or it has ceased to exist."""
        self._variables.pop(owner, None)

    def rule(self, finding: Finding) -> None:
        """Report what another rule has found."""
        if finding.key not in self._keys:
            self._keys.add(finding.key)
            self._found(finding)

    # -- parts ------------------------------------------------------------------------------

    def _change(
        self, variable: _Variable, state: _Thread, mode: str, call: Hashable
    ) -> tuple[str, bool]:
        """The mode of a change, given what its call has looked at, and whether others came between."""
        look = variable.looks.pop(call, None)
        changes = variable.changes
        changes.append(call)
        if mode == WRITE and variable.first is None:
            variable.writes += 1
        if look is None:
            return mode, False
        holds, seen = look
        if any(state.holds.get(lock) == hold for lock, hold in holds.items()):
            return mode, False  # one lock over both
        if holds and state.holds and mode in (GROW, TOUCH):
            return mode, False  # what is added does not depend on what was there
        return ACT, any(other != call for other in changes[seen:-1])

    def _race(self, variable: _Variable, old: Access, new: Access, clock: Clock) -> bool:
        if frozenset((old.mode, new.mode)) not in CONFLICTS:
            return False
        if clock.get(old.thread, 0) >= old.time:
            return False  # handed over
        modes = {old.mode, new.mode}
        if ACT in modes and not modes & _LOOKS:
            return True  # between look and change the other may come, whatever it holds
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
        self.rule(Finding(grade, name, _problem(old, new), advice, old, new))

    def _thread(self, thread: Hashable) -> _Thread:
        state = self._threads.get(thread)
        if state is None:
            state = self._threads[thread] = _Thread(thread)
        return state


_WORDS = {
    READ: "reads it", WRITE: "writes it", TOUCH: "changes it", PEEK: "looks at it",
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
