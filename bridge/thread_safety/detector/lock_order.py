"""In which order locks are taken: two calls that take the same two in both orders may wait for ever.

A deadlock need not happen to be found. Whoever takes a lock while it holds others makes an *edge* from
each of those to the new one; a circle of edges that different calls have made is a deadlock of some
run (Havelund, "Using runtime analysis to guide model checking of Java programs", SPIN 2000), unless
another lock is held at all of them, or hand-overs put them in order. What happens in earnest is
found by who waits for whom.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from .announcements import asks_for
from .atomicity import Atomicity
from .findings import OBSERVED, ORDER, Access, Finding, Frame
from .happens_before import HappensBefore, ThreadState

#: How many edges are remembered, and of each, how many that differ in the call or the other locks.
_MAX_EDGES, _MAX_OF_EDGE = 10_000, 4
#: How many locks a circle is looked for in.
_LONGEST = 4
_ADVICE = "take them in the same order everywhere, or use one lock for both"


class Edge:
    """A thread took ``second`` while it held ``first``."""

    __slots__ = ("access", "first", "gates", "is_call", "second")

    def __init__(
        self,
        first: Hashable,
        second: Hashable,
        gates: frozenset[Hashable],
        access: Access,
        is_call: bool,
    ) -> None:
        self.first = first
        self.second = second
        #: The other locks that were held.
        self.gates = gates
        self.access = access
        self.is_call = is_call

    def excludes(self, other: Edge, clock_of: Callable[[Hashable], ThreadState]) -> bool:
        """Whether the two can never be made at once."""
        if not self.gates.isdisjoint(other.gates):
            return True
        ours, theirs = self.access, other.access
        if asks_for(ours, theirs):
            return True
        if ours.thread == theirs.thread:
            # calls may run on any worker, what else a thread does comes after another
            return not (self.is_call and other.is_call) or ours.call == theirs.call
        return clock_of(ours.thread).clock.firm.get(theirs.thread, 0) >= theirs.time


class LockOrder:
    """Who takes which lock after which, and who waits for whom.

    Args:
        order: which thread holds which locks.
        calls: how calls keep each other out.
        found: called with each finding, as often as it is seen.
    """

    def __init__(
        self, order: HappensBefore, calls: Atomicity, found: Callable[[Finding], object]
    ) -> None:
        self._order = order
        self._calls = calls
        self._found = found
        #: What people know a lock as.
        self.name_of: Callable[[Hashable], str] = str
        #: Whether orders are looked at; if not, only who waits for whom.
        self.enabled = True
        self._edges: dict[Hashable, dict[Hashable, list[Edge]]] = {}
        self._count = 0
        #: By lock, who holds it, and where it was taken.
        self._holders: dict[Hashable, Access] = {}
        #: By thread, the lock that it waits for, and where.
        self._waiting: dict[Hashable, tuple[Hashable, Access]] = {}

    def taken(
        self,
        thread: Hashable,
        lock: Hashable,
        stack: Sequence[Frame],
        call: Hashable,
        waited: bool,
    ) -> None:
        """``thread`` is about to hold ``lock``, beside those that it holds.

        Args:
            call: what it works for; ``thread`` itself outside of calls.
            waited: it would have waited for ever; otherwise no deadlock is made of it.
        """
        state = self._order.state(thread)
        held = state.locks
        access = Access(thread, state.time, "takes it", held, stack, call)
        self._calls.announce(access, state, call)
        self._calls.common.taken(lock, access)
        self._holders[lock] = access
        if not waited or lock in held or not self.enabled:
            return
        for first in held:
            self._add(Edge(first, lock, held - {first}, access, call != thread))

    def given(self, lock: Hashable) -> None:
        """Nobody holds ``lock`` any more."""
        self._holders.pop(lock, None)

    def _add(self, edge: Edge) -> None:
        targets = self._edges.setdefault(edge.first, {})
        known = targets.get(edge.second)
        if known is None:
            if self._count >= _MAX_EDGES:
                # locks are made all the time: those of the first are gone, most likely
                oldest = next(iter(self._edges))
                self._count -= len(self._edges.pop(oldest))
                targets = self._edges.setdefault(edge.first, {})
            known = targets[edge.second] = []
            self._count += 1
        for circle in self._circles([edge]):
            self._report(circle)
            break
        if len(known) >= 2 and any(e.gates == edge.gates and _same_place(e, edge) for e in known):
            return
        if len(known) < _MAX_OF_EDGE:
            known.append(edge)

    def _circles(self, path: list[Edge]) -> Iterator[list[Edge]]:
        """The ways on from the last lock of a path to its first, with edges that others made."""
        end, start = path[-1].second, path[0].first
        if len(path) >= _LONGEST:
            return
        for target, edges in self._edges.get(end, {}).items():
            for edge in edges:
                if any(edge.excludes(other, self._order.state) for other in path):
                    continue
                if any(other.excludes(edge, self._order.state) for other in path):
                    continue
                if target == start:
                    yield [*path, edge]
                elif all(target not in (other.first, other.second) for other in path):
                    yield from self._circles([*path, edge])

    def _report(self, circle: list[Edge]) -> None:
        names = [self.name_of(edge.first) for edge in circle]
        accesses = []
        for edge in circle[:2]:
            access = edge.access.copy()
            access.words = f"takes {self.name_of(edge.second)}, holding {self.name_of(edge.first)}"
            accesses.append(access)
        problem = "taken in both orders" if len(circle) == 2 else "taken in a circle"
        problem += "; calls may wait for each other for ever"
        self._found(Finding(ORDER, _all(names), problem, _ADVICE, accesses[1], accesses[0]))

    # -- waiting in earnest -----------------------------------------------------------------

    def wait_for(
        self, thread: Hashable, lock: Hashable, stack: Sequence[Frame], call: Hashable
    ) -> None:
        """``thread`` waits for ``lock``, which somebody else has."""
        state = self._order.state(thread)
        self._waiting[thread] = (
            lock,
            Access(thread, state.time, "waits for it", state.locks, stack, call),
        )

    def wait_no_more(self, thread: Hashable) -> None:
        """``thread`` has what it waited for, or has given up."""
        self._waiting.pop(thread, None)

    def deadlock(self, thread: Hashable) -> Finding | None:
        """The circle of threads that wait for each other, this one among them; None: there is none."""
        seen: list[tuple[Hashable, Access]] = []
        current = thread
        while current in self._waiting:
            lock, access = self._waiting[current]
            seen.append((lock, access))
            holder = self._holders.get(lock)
            if holder is None or len(seen) > len(self._waiting):
                return None
            current = holder.thread
            if current == thread:
                return self._deadlock(seen, holder)
        return None

    def _deadlock(self, seen: list[tuple[Hashable, Access]], holder: Access) -> Finding | None:
        names = [self.name_of(lock) for lock, _ in seen]
        first = seen[0][1].copy()
        first.words = f"waits for {names[0]}"
        if len(seen) == 1:
            # a lock may be a signal, that another thread is to give back
            if holder.call != first.call or holder.call == first.thread:
                return None
            second = holder.copy()
            second.words = f"has taken {names[0]} already"
            problem = "a call waits for a lock that it holds itself"
            advice = "use a reentrant lock, threading.RLock(), or take it once"
        else:
            second = seen[1][1].copy()
            second.words = f"waits for {names[1]}"
            problem = "calls wait for each other for ever"
            advice = _ADVICE
        return Finding(OBSERVED, _all(names), problem, advice, first, second)


def _all(names: Sequence[str]) -> str:
    return " and ".join(sorted(names))


def _same_place(one: Edge, other: Edge) -> bool:
    return one.access.stack[:1] == other.access.stack[:1]
