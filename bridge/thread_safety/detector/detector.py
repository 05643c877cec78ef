"""The race detector: a state machine fed with what threads do. No threads, clocks or globals here.

It is a hybrid of two classic methods. *Locksets* (Savage et al., "Eraser", ACM TOCS 15(4), 1997):
two accesses to the same variable race if no lock is held at both. That finds races in runs where
nothing went wrong, but does not know of variables that are handed over. *Happens-before*
(Lamport, CACM 21(7), 1978; the vector clocks of Flanagan and Freund, "FastTrack", PLDI 2009) knows:
accesses that a queue, an event or the start of a thread puts in order do not race. As in O'Callahan
and Choi ("Hybrid dynamic data race detection", PPoPP 2003) only such hand-overs make an order;
locks do not, because in the next run they may be taken the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from .access_modes import ACT, CONFLICTS, LOOKS, OF_WHOLES, OVERWRITE, READ, SNAPSHOT, WRITE
from .announcements import asks_for
from .atomicity import Atomicity
from .benign import MEMO, NOTE, UNKNOWN, Doubt, Uses, Written
from .findings import (
    DISCIPLINE,
    DOCUMENTED,
    OBSERVED,
    RACE,
    Access,
    Finding,
    Frame,
    advice,
    problem,
)
from .happens_before import HappensBefore, ThreadState, Times, Variable
from .lock_order import LockOrder

#: How much is remembered: parts of one object, kinds of accesses to one of them, findings.
_MAX_PARTS, _MAX_ACCESSES, _MAX_FINDINGS = 10_000, 100, 1_000
#: Of how many objects it is remembered where they were stored.
_MAX_STORED = 10_000
_NOTHING: frozenset[Hashable] = frozenset()
#: What can be done to one reference.
_OF_REFERENCES = frozenset([READ, WRITE, ACT])


class Detector:
    """Finds races in the events it is told of. Not thread-safe itself: tell it one after another.

    Threads, locks, variables and calls are any hashable values. What threads do to locks and to
    each other is told to ``order``, what calls decide to ``calls``, accesses to the detector.

    Args:
        found: called with each new finding, once for each ``Finding.key``.
    """

    def __init__(self, found: Callable[[Finding], object]) -> None:
        #: Which thread holds which locks, and which comes after which.
        self.order = HappensBefore()
        #: What each call has looked at, and decides by that.
        self.calls = Atomicity()
        #: Which lock is taken after which, and who waits for whom.
        self.locks = LockOrder(self.order, self.calls, self.report)
        self._found = found
        #: Whether accesses count.
        self.looks = True
        #: Called, with what it is, for each thing that finds no place.
        self.lost: Callable[[str], object] = lambda what: None
        self._variables: dict[Hashable, dict[Hashable, Variable]] = {}
        self._known: dict[Hashable, Finding] = {}
        #: Where objects that are watched were stored, by what they are known as.
        self._stored: dict[Hashable, Uses] = {}

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
        written: Written | None = None,
        plain: bool = False,
    ) -> None:
        """``thread`` accesses the variable ``part`` of ``owner``, which people know as ``name``.

        Args:
            mode: one of ``access_modes``, but ``ACT``, which the detector finds out.
            stack: where it is in the program, innermost first.
            call: what the thread is working for; looks and changes are connected within it.
            rule: what is documented about such accesses.
            unfinished: it is made by the call that published the object, which others may have
                found already.
            augmented: the look is the first half of ``+=``, and nothing is checked by it.
            written: what a write does to the value.
            plain: it is one reference, which is read and replaced as a whole.
        """
        if not self.looks:
            return
        parts = self._variables.get(owner)
        if parts is None:
            parts = self._variables[owner] = {}
        variable = parts.get(part)
        if variable is None:
            if len(parts) >= _MAX_PARTS:
                # the first are those that were not changed for longest, most of the time
                del parts[next(iter(parts))]
                self.lost("items of large containers that are forgotten")
            variable = parts[part] = Variable(thread)
        if variable.uses is None and (plain or written is not None):
            variable.uses = Uses()
        state = self.order.state(thread)
        if variable.first != thread:
            variable.first = None
        interleaved, decided_at, cover, looked_under = False, None, state.locks, _NOTHING
        derived, soft = False, state.clock.soft
        if mode in OF_WHOLES:
            unfinished = False
        elif mode in LOOKS:
            unfinished = False
            self.calls.look(variable, state, mode, call, augmented, stack)
        else:
            self._note_write(owner, variable, thread, state, call, written)
            change = self.calls.change(variable, state, mode, call)
            mode, cover = change.mode, change.cover
            interleaved, decided_at = change.interleaved, change.decided_at
            looked_under, derived = change.looked_under, change.derived
            soft = soft if change.before is None else change.before
            unfinished = self.calls.is_late(variable, state, call) or unfinished
        key = thread, mode, state.locks
        turn = _turn_of(variable, thread, variable.changed_by_other) if interleaved else None
        access = variable.accesses.get(key)
        if access is None:
            if len(variable.accesses) >= _MAX_ACCESSES:
                del variable.accesses[next(iter(variable.accesses))]
            access = variable.accesses[key] = Access(
                thread, state.time, mode, state.locks, stack, call, rule, unfinished
            )
        else:
            # a new object for each would cost more than all the rest
            access.time, access.stack, access.call = state.time, stack, call
            access.rule, access.unfinished = rule, unfinished
        access.decided_at, access.cover, access.looked_under = decided_at, cover, looked_under
        access.derived = derived
        self.calls.announce(access, state, call)
        if mode == OVERWRITE:
            access.several |= variable.overwritten_by == call
            variable.overwritten_by = call
        if turn is not None:
            self._report(name, turn, access, interleaved)
        conflicts = CONFLICTS[mode]
        doubts = []
        for other in variable.accesses.values():
            if other.mode not in conflicts or other.thread == thread:
                continue
            verdict = _verdict(variable, other, access, state.clock.firm, soft, plain)
            if verdict is not None and self.calls.common.keep_apart(other, access):
                continue
            if verdict == RACE or (verdict is not None and variable.uses is None):
                self._report(name, other, access, interleaved)
                if variable.uses is not None:
                    variable.uses.raced = True
                break
            # of "+=" the change that follows says more
            if verdict is not None and not (verdict == NOTE and augmented):
                doubts.append((other, verdict))
        else:
            for other, verdict in doubts:
                assert variable.uses is not None
                variable.uses.disputed = True
                self._report(name, other, access, interleaved, Doubt(verdict, variable.uses))

    def _note_write(
        self,
        owner: Hashable,
        variable: Variable,
        thread: Hashable,
        state: ThreadState,
        call: Hashable,
        written: Written | None,
    ) -> None:
        """What is written to a variable; or its object, which was stored in another, is changed."""
        if self._stored and owner in self._stored:
            self._stored.pop(owner).spoiled = True
        uses = variable.uses
        if uses is not None:
            written = written or UNKNOWN
            self.calls.wrote(variable, thread, state, call, written)
            if written.key is not None and len(self._stored) < _MAX_STORED:
                self._stored[written.key] = uses

    def decide(
        self, thread: Hashable, call: Hashable, test: Hashable, mark: int, names: Sequence[Hashable]
    ) -> None:
        """What ``thread`` has looked at decides how ``call`` goes on, see ``Atomicity.decide``."""
        self.calls.decide(self.order.state(thread), call, test, mark, names)

    def look_again(self, call: Hashable, owner: Hashable, part: Hashable) -> None:
        """An atomic change follows, which looks for itself: what the call has seen is no matter."""
        variable = self._variables.get(owner, {}).get(part)
        if variable is not None:
            self.calls.forget_look(variable, call)

    def forget(self, owner: Hashable) -> None:
        """All accesses to parts of ``owner`` so far are over, or it has ceased to exist."""
        self._variables.pop(owner, None)
        self._stored.pop(owner, None)

    def report(self, finding: Finding) -> None:
        """Pass on what was found, here or by another rule, unless it is known."""
        known = self._known.get(finding.key)
        if known is not None:
            if known.doubt is None or not self._settles(known, finding):
                return
        elif len(self._known) >= _MAX_FINDINGS:
            self.lost("further findings")
            return
        self._known[finding.key] = finding
        self._found(finding)

    def _settles(self, known: Finding, finding: Finding) -> bool:
        """Whether a finding says for certain that another one is a race, which could be none."""
        assert known.doubt is not None
        if finding.doubt is not None:
            known.doubt.add(finding.doubt)
        return finding.doubt is None

    def _report(
        self, name: str, old: Access, new: Access, interleaved: bool, doubt: Doubt | None = None
    ) -> None:
        together = self.calls.is_running(old.call) and old.call != new.call
        grade = OBSERVED if interleaved or together else DISCIPLINE
        if new.rule is not None:
            grade = DOCUMENTED
        what_to_do = new.rule or advice(old, new)
        self.report(
            Finding(grade, name, problem(old, new), what_to_do, old.copy(), new.copy(), doubt)
        )


def _turn_of(variable: Variable, thread: Hashable, call: Hashable) -> Access | None:
    """The change of a task on the same thread: those of one event loop take turns where they await."""
    for other in variable.accesses.values():
        if other.thread == thread and other.call == call and other.mode not in LOOKS:
            return other.copy()
    return None


def _verdict(
    variable: Variable, old: Access, new: Access, firm: Times, soft: Times, plain: bool
) -> str | None:
    """``RACE`` if two accesses race, whose modes are in conflict; or why that is in doubt; None: no.

    Args:
        firm: what hand-overs say was done before the new one.
        soft: what decisions say as well; before its look, if it was decided by one.
    """
    modes = {old.mode, new.mode}
    if not old.cover.isdisjoint(new.cover):
        return None
    if asks_for(old, new) or asks_for(new, old):
        return None
    torn = ACT in modes and old.locks and new.locks  # let go of between look and change
    # there, whoever decides by the variable in the next run may come at any moment
    unfinished = old.unfinished or new.unfinished
    firmly = torn or unfinished
    if firm.get(old.thread, 0) >= old.time:
        return None  # handed over
    if not firmly and soft.get(old.thread, 0) >= old.time:
        return None
    if SNAPSHOT in modes:
        # each is atomic; what is written under a lock, or in several steps, is not to be seen between
        change = old if old.mode == OVERWRITE else new
        raced = old.locks.isdisjoint(new.locks) and bool(change.locks or change.several)
        return RACE if raced else None
    if ACT in modes and not modes & LOOKS:
        # between look and change the other may come, whatever it holds
        return MEMO if _are_memos(variable, old, new) else RACE
    if _may_decide_the_same(old, new) or _may_decide_the_same(new, old):
        return MEMO if _are_memos(variable, old, new) else RACE
    if not old.locks.isdisjoint(new.locks):
        return None
    if plain and not unfinished and modes <= _OF_REFERENCES:
        # what was made of the value before is lost if another is written between
        return RACE if modes == {WRITE} and (old.derived or new.derived) else NOTE
    if modes == {READ, WRITE} and variable.writes <= 1:
        # written once, under a lock: that is how something is published, and reading a
        # reference is atomic
        write = old if old.mode == WRITE else new
        return RACE if write.unfinished or not write.locks else None
    return RACE


def _are_memos(variable: Variable, old: Access, new: Access) -> bool:
    """Whether both look and store under one lock, which they let go between."""
    if variable.uses is None:
        return False
    common = old.locks & new.locks
    for access in (old, new):
        if access.mode == ACT:
            common &= access.looked_under
        elif access.mode not in LOOKS:
            return False
    return bool(common)


def _may_decide_the_same(act: Access, look: Access) -> bool:
    """Whether the look could have led to the same change, before that was made."""
    return act.decided_at is not None and look.mode in LOOKS and look.stack[:1] == (act.decided_at,)
