"""What calls decide by what they have looked at: check-then-act, and ``+=``.

A call that decides by what it reads, and changes it later, needs one lock over both: it is not
enough that each has one. So each look at a variable is remembered, until the call changes the
variable itself; what local variables got their values from, and which tests the line that runs
depends on, connects the two.
"""

from __future__ import annotations

from .access_modes import ACT, COPY, GROW, TOUCH, WRITE
from .happens_before import Order, merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .findings import Frame
    from .happens_before import Thread, Variable


class Look:
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


class Call:
    """What is known of one call: its looks, and what depends on them."""

    __slots__ = ("decisions", "flags", "looks", "named", "number", "raised")

    def __init__(self) -> None:
        #: Variables that were tested without a lock, and the holds under which one was written since.
        self.flags: set[Variable] = set()
        self.raised: dict[Hashable, int] = {}
        #: The latest comes last.
        self.looks: dict[Variable, Look] = {}
        self.number = 0
        #: What the values of local variables, and the tests around the current line, come from.
        self.named: dict[Hashable, list[tuple[Variable, Look]]] = {}
        self.decisions: dict[Hashable, list[Look]] = {}

    def since(self, mark: int) -> list[tuple[Variable, Look]]:
        """The looks that came after ``mark``."""
        found = []
        for variable, look in reversed(self.looks.items()):
            if look.number <= mark:
                break
            found.append((variable, look))
        return found


class Decisions(Order):
    """The calls, beside the threads: what each has looked at, and what it does by that."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[Hashable] = set()
        self._calls: dict[Hashable, Call] = {}

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
                    merge(soft, variable.sent[lock])
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

    # -- parts ------------------------------------------------------------------------------

    def _causes(
        self, made: Call, mark: int, names: Sequence[Hashable]
    ) -> list[tuple[Variable, Look]]:
        """The looks since ``mark``, and those behind local variables."""
        causes = made.since(mark)
        for name in names:
            causes.extend(made.named.get(name, ()))
        return causes

    def _look(
        self,
        variable: Variable,
        state: Thread,
        mode: str,
        call: Hashable,
        augmented: bool,
        at: Frame | None,
    ) -> None:
        """Remember a look. ``augmented``: of ``+=``, which leaves an earlier one that decides."""
        made = self._calls.get(call)
        if made is None:
            made = self._calls[call] = Call()
        last = made.looks.pop(variable, None)
        made.number += 1
        if augmented and last is not None and last.decides:
            last.number = made.number
            made.looks[variable] = last
        else:
            changes = len(variable.changes)
            made.looks[variable] = Look(mode, state.holds, changes, made.number, at)

    def _change(
        self, variable: Variable, state: Thread, mode: str, call: Hashable
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

    def _is_late(self, variable: Variable, state: Thread, call: Hashable) -> bool:
        """Is something written after a flag that others test without the lock was raised?"""
        made = self._calls.get(call)
        if made is None or not made.flags:
            return False
        late = any(state.holds.get(lock) == hold for lock, hold in made.raised.items())
        if variable in made.flags:
            made.raised.update(state.holds)
        return late


def _is_independent(look: Look, mode: str, locked: bool) -> bool:
    """Does what is added not depend on what was seen there before?"""
    if mode == TOUCH:
        return locked and not look.tested
    return mode == GROW and not look.decides and (locked or (look.mode == COPY and not look.tested))
