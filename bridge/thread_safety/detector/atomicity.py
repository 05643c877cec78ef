"""What calls decide by what they have looked at: check-then-act, and ``+=``.

A call that decides by what it reads, and changes it later, needs one lock over both: it is not
enough that each has one. So each look at a variable is remembered, until the call changes the
variable itself; what local variables got their values from, and which tests the line that runs
depends on, connects the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from .access_modes import ACT, COPY, GROW, TOUCH, WRITE
from .announcements import Announcements, CommonLocks
from .benign import Written
from .findings import Access, Frame
from .happens_before import ThreadState, Times, Variable
from .together import Together

#: How many looks of one call are remembered: without calls, as in threads of the program, it never ends.
_MOST_LOOKS = 10_000
#: How many looks one value is known to come from.
_MOST_CAUSES = 50


class Look:
    """The last look of a call at a variable, until the call changes it itself."""

    __slots__ = ("at", "before", "changes", "decides", "holds", "mode", "number", "tested")

    def __init__(
        self,
        mode: str,
        before: Times,
        holds: dict[Hashable, int],
        changes: int,
        number: int,
        at: Sequence[Frame],
    ) -> None:
        self.mode = mode
        #: what was done before it, as far as decisions say
        self.before = before
        #: the stack
        self.at = at
        #: the locks, each with its hold
        self.holds = holds
        #: how often the variable had been changed
        self.changes = changes
        #: how many looks the call had made
        self.number = number
        #: Whether the call comes to where it is depends on the look.
        self.decides = False
        #: It did once.
        self.tested = False


class Change:
    """How a call changes a variable, given what it has looked at there before.

    ``mode``: ``ACT`` if the change was decided by a look. ``interleaved``: other calls changed the
    variable in between. ``decided_at``: the place of the look, if a test came between the two.
    ``cover``: the locks that were held all the time since the look; without one, all that are held.
    ``looked_under``: the locks that were held at the look. ``derived``: there was a look. ``before``: of
    ``ACT``: what was done before the look, as far as decisions say.
    """

    __slots__ = (
        "before", "cover", "decided_at", "derived", "interleaved", "looked_under", "mode"
    )  # fmt: skip

    def __init__(
        self,
        mode: str,
        cover: frozenset[Hashable],
        interleaved: bool = False,
        decided_at: Frame | None = None,
        looked_under: frozenset[Hashable] = frozenset(),
        derived: bool = True,
        before: Times | None = None,
    ) -> None:
        self.before = before
        self.mode = mode
        self.derived = derived
        self.looked_under = looked_under
        self.cover = cover
        self.interleaved = interleaved
        self.decided_at = decided_at


class CallState:
    """What is known of one call: its looks, and what depends on them."""

    __slots__ = (
        "announcements", "decisions", "flags", "looks", "named", "number", "raised", "together"
    )  # fmt: skip

    def __init__(self) -> None:
        #: Variables that were tested without a lock, and the holds under which one was written since.
        self.flags: set[Variable] = set()
        self.raised: dict[Hashable, int] = {}
        self.announcements = Announcements()
        self.together = Together()
        #: The latest comes last.
        self.looks: dict[Variable, Look] = {}
        self.number = 0
        #: What the values of local variables, and the tests around the current line, come from.
        self.named: dict[Hashable, list[tuple[Variable, Look]]] = {}
        self.decisions: dict[Hashable, list[Look]] = {}

    def causes(self, mark: int, names: Sequence[Hashable]) -> list[tuple[Variable, Look]]:
        """The looks that came after ``mark``, and those behind local variables."""
        causes = []
        for variable, look in reversed(self.looks.items()):
            if look.number <= mark:
                break
            causes.append((variable, look))
            if len(causes) >= _MOST_CAUSES:
                break
        for name in names:
            # once each: in a loop a variable is made from itself again and again
            causes.extend(each for each in self.named.get(name, ()) if each not in causes)
        return causes[:_MOST_CAUSES]


class Atomicity:
    """The calls: what each has looked at, and what it does by that."""

    def __init__(self) -> None:
        self._running: set[Hashable] = set()
        self._calls: dict[Hashable, CallState] = {}
        #: Locks that calls take for others that have announced themselves.
        self.common = CommonLocks()

    def begin(self, call: Hashable) -> None:
        """A call begins to run, or goes on."""
        self._running.add(call)

    def end(self, call: Hashable) -> None:
        """The call has ended, and with it what it was about to decide."""
        self._running.discard(call)
        self._calls.pop(call, None)

    def is_running(self, call: Hashable) -> bool:
        """Whether the call has begun and not ended."""
        return call in self._running

    # -- what the lines of a call depend on -------------------------------------------------

    def mark(self, call: Hashable) -> int:
        """A point in the course of a call: how many looks it has made."""
        made = self._calls.get(call)
        return 0 if made is None else made.number

    def name(self, call: Hashable, name: Hashable, mark: int, names: Sequence[Hashable]) -> None:
        """A local variable got its value from the looks since ``mark``, and from other ones."""
        made = self._calls.get(call)
        if made is not None:
            made.named[name] = made.causes(mark, names)

    def decide(
        self,
        state: ThreadState,
        call: Hashable,
        test: Hashable,
        mark: int,
        names: Sequence[Hashable],
    ) -> None:
        """The looks since ``mark``, and those behind local variables, decide how a call goes on.

        So it comes after those calls that have changed what it looked at, under a lock of both.

        Args:
            state: the thread that runs the call.
            test: what ``settle`` will name; None: the decision is over at once.
        """
        made = self._calls.get(call)
        if made is None:
            return
        causes = made.causes(mark, names)
        for variable, look in causes:
            for lock in look.holds:
                if lock in variable.sent:
                    state.clock.soften(variable.sent[lock])
            if not look.holds:
                made.flags.add(variable)
            else:
                made.announcements.tested(variable, look.holds)
            if variable.uses is not None:
                variable.uses.tested = True
            look.decides |= test is not None
            look.tested = True
        if test is not None:
            made.decisions[test] = [look for _, look in causes]

    def settle(self, call: Hashable, test: Hashable) -> None:
        """The lines that depend on a test are left: it decides nothing more."""
        made = self._calls.get(call)
        for look in made.decisions.pop(test, ()) if made is not None else ():
            look.decides = False

    # -- looks and changes ------------------------------------------------------------------

    def look(
        self,
        variable: Variable,
        state: ThreadState,
        mode: str,
        call: Hashable,
        augmented: bool,
        at: Sequence[Frame],
    ) -> None:
        """A call looks at a variable, and may change it by what it sees.

        Args:
            augmented: it is the first half of ``+=``, which leaves an earlier look that decides.
            at: the place of the look, a stack.
        """
        made = self._calls.get(call)
        if made is None:
            made = self._calls[call] = CallState()
        last = made.looks.pop(variable, None)
        made.number += 1
        if variable.uses is not None and not augmented:
            made.together.look(
                variable.uses,
                state,
                None if last is None else last.holds,
                last is not None and last.at is at,
            )
        if augmented and last is not None and last.decides:
            last.number = made.number
            made.looks[variable] = last
        else:
            made.looks[variable] = Look(
                mode, state.clock.soft, state.holds, variable.changes, made.number, at
            )
            if len(made.looks) > _MOST_LOOKS:
                del made.looks[next(iter(made.looks))]

    def announce(self, access: Access, state: ThreadState, call: Hashable) -> None:
        """Note how the call that makes an access keeps others out."""
        made = self._calls.get(call)
        if made is not None:
            access.announcements = made.announcements
            access.announced_at = made.announcements.number
        else:
            access.announcements, access.announced_at = None, 0
        access.holds = state.holds

    def forget_look(self, variable: Variable, call: Hashable) -> None:
        """An atomic change follows, which looks for itself: what the call has seen is no matter."""
        made = self._calls.get(call)
        if made is not None:
            made.looks.pop(variable, None)

    def change(self, variable: Variable, state: ThreadState, mode: str, call: Hashable) -> Change:
        """A call changes a variable; with that its look at it is over."""
        made = self._calls.get(call)
        look = None if made is None else made.looks.pop(variable, None)
        if made is not None and state.holds:
            made.announcements.changed(variable, state.holds)
        for lock in state.holds:
            state.changed.setdefault(lock, set()).add(variable)
        by_others = variable.change(call)
        if mode == WRITE and variable.first is None:
            variable.writes += 1
        if look is None:
            return Change(mode, state.locks, derived=False)
        cover = frozenset(k for k, hold in look.holds.items() if state.holds.get(k) == hold)
        if cover and cover == state.locks:
            return Change(mode, cover)
        if _is_independent(look, mode, bool(look.holds and state.holds)):
            return Change(mode, state.locks)
        between = by_others > look.changes
        decided_at = look.at[0] if look.tested and look.at else None
        return Change(ACT, cover, between, decided_at, frozenset(look.holds), before=look.before)

    def wrote(
        self,
        variable: Variable,
        thread: Hashable,
        state: ThreadState,
        call: Hashable,
        what: Written,
    ) -> None:
        """A call writes a variable that has a name: to be told before ``change``."""
        uses = variable.uses
        if uses is None or (variable.first is not None and call == thread):
            return  # a thread of the program makes it, before there are others
        uses.wrote(thread, state.locks, what)
        uses.filled |= what.fills and call == thread
        made = self._calls.get(call)
        if made is None:
            made = self._calls[call] = CallState()
        made.together.write(uses, state)

    def is_late(self, variable: Variable, state: ThreadState, call: Hashable) -> bool:
        """Whether a variable is written after a flag was raised that others test without the lock.

        To be asked at each change: a flag that is raised here is remembered.
        """
        made = self._calls.get(call)
        if made is None or not made.flags:
            return False
        late = any(state.holds.get(lock) == hold for lock, hold in made.raised.items())
        if variable in made.flags:
            made.raised.update(state.holds)
        return late


def _is_independent(look: Look, mode: str, locked: bool) -> bool:
    """Whether what is added does not depend on what was seen there before."""
    if mode == TOUCH:
        return locked and not look.tested
    return mode == GROW and not look.decides and (locked or (look.mode == COPY and not look.tested))
