"""What the detector reports: a variable, the two accesses that race, and what to do about it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

from .access_modes import (
    ACT,
    COPY,
    GROW,
    ITERATE,
    OF_WHOLES,
    OVERWRITE,
    PEEK,
    READ,
    REORDER,
    SHRINK,
    SNAPSHOT,
    TOUCH,
    WALK,
    WRITE,
)
from .benign import NOTE, Doubt

#: A place in the code: file, line, function.
Frame: TypeAlias = tuple[str, int, str]

#: How many frames of each stack are shown.
SHOWN_FRAMES = 8
OBSERVED, DISCIPLINE, DOCUMENTED = "observed", "discipline", "documented"
#: What a finding is to whoever runs the check: a race fails it, a note is safe in CPython.
RACE, NOTED, CLEAN = "race", "note", "clean"
#: Of a silence that silences nothing.
SILENCE = "silence"
#: Of results that no order of the calls explains, of locks taken in both orders, and of values that
#: one call leaves behind for another.
WRONG, ORDER, LEAK = "wrong", "order", "leak"


class ThreadSafetyError(RuntimeError):
    """A race was found, in strict mode: raised where the second access was about to happen."""


class Access:
    """One access to a variable, as it is remembered."""

    __slots__ = (
        "announced_at", "announcements", "call", "cover", "decided_at", "derived", "holds", "locks", "looked_under", "mode", "rule",
        "several", "stack", "thread", "time", "unfinished", "words",
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
        #: It is made by the call that published the object, or said that it is there, after it did.
        self.unfinished = unfinished
        #: Of ``ACT``: the place of the test that decided it.
        self.decided_at: Frame | None = None
        #: The locks that were held all the time since the look; without one, those that are held.
        self.cover = locks
        #: Of ``ACT``: the locks that were held at the look.
        self.looked_under: frozenset[Hashable] = frozenset()
        #: Of a change: the call has looked at the variable before, so that it may depend on that.
        self.derived = False
        #: How the call keeps others out, how far that was, and the locks with their holds.
        self.announcements: Any = None
        self.announced_at = 0
        self.holds: dict[Hashable, int] = {}
        #: Of ``OVERWRITE``: the call has written more than one part.
        self.several = False
        #: What it does, where its mode does not say it.
        self.words: str | None = None

    def copy(self) -> Access:
        """The access as it is now; the detector makes the next one of it."""
        copy = Access(
            self.thread, self.time, self.mode, self.locks, self.stack, self.call, self.rule,
            self.unfinished,
        )  # fmt: skip
        copy.decided_at, copy.cover, copy.words = self.decided_at, self.cover, self.words
        return copy

    @property
    def did(self) -> str:
        """What it does to the variable, in words."""
        return self.words or _WORDS.get(self.mode, f"{self.mode}s it")

    @property
    def shown(self) -> Sequence[Frame]:
        """The innermost frames of its stack, the access itself first."""
        return self.stack[:SHOWN_FRAMES]

    @property
    def has_more(self) -> bool:
        """Whether it was called from further away than is shown."""
        return len(self.stack) > SHOWN_FRAMES


class Finding:
    """A race, or a broken rule.

    Args:
        evidence: ``wrong`` (a result that no order of the calls explains), ``observed`` (the accesses
            came in between each other), ``discipline`` (nothing keeps them apart), ``documented``
            (a rule of the library table), ``order`` (of locks) or ``leak`` (from call to call).
        variable: what people know the variable as.
        problem: what is wrong, in words.
        advice: what to do about it.
        first: one of the two accesses.
        second: the other; None: there is but one.
        doubt: whether it is a race at all; None: it is.
    """

    def __init__(
        self,
        evidence: str,
        variable: str,
        problem: str,
        advice: str,
        first: Access,
        second: Access | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        self.evidence = evidence
        self.doubt = doubt
        self.variable = variable
        self.problem = problem
        self.advice = advice
        self.first = first
        self.second = second

    @property
    def grade(self) -> str:
        """``race``, ``note`` (safe in CPython), ``clean`` (harmless), ``order`` or ``leak``."""
        if self.doubt is not None and self.doubt.harm is None:
            return NOTED if self.doubt.verdict == NOTE else CLEAN
        return self.evidence if self.evidence in (ORDER, LEAK, SILENCE) else RACE

    @property
    def key(self) -> tuple[Any, ...]:
        """Findings with the same key are one: the same variable, at the same two lines."""
        lines = [self.first.stack[:1]] + ([self.second.stack[:1]] if self.second else [])
        return (self.variable, *sorted(tuple(line) for line in lines))


_WORDS = {
    READ: "reads it", WRITE: "writes it", TOUCH: "changes it", PEEK: "looks at it", COPY: "copies it",
    ITERATE: "iterates over it", GROW: "adds to it", SHRINK: "takes from it",
    WALK: "walks through all of it", SNAPSHOT: "copies all of it", OVERWRITE: "changes a part of it",
    REORDER: "puts it in another order", ACT: "changes it, decided by an earlier look",
}  # fmt: skip


def problem(old: Access, new: Access) -> str:
    """What two accesses do to each other."""
    return f"one thread {old.did}, another {new.did}"


def advice(old: Access, new: Access) -> str:
    """What keeps them apart."""
    if ACT in (old.mode, new.mode):
        return "hold one lock from the look to the change: with self.acquire_lock():"
    if OF_WHOLES & {old.mode, new.mode}:
        return "hold one lock around both: whoever looks at all of it sees half of a change"
    if ITERATE in (old.mode, new.mode):
        return "hold one lock around both, or iterate over a copy that was made under the lock"
    if old.locks and new.locks:
        return "both hold a lock, but not the same one: use one lock for this variable"
    if old.locks or new.locks:
        return "only one of them holds a lock: hold the same one at the other"
    return "hold one lock around both (with self.acquire_lock():), or keep it per thread"
