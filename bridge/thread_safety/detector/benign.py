"""Conflicts that harm nobody in CPython, and how to tell them from races.

Reading, and replacing, one reference is atomic in CPython. So a variable that is replaced as a whole, and
read once by each call, is safe without a lock: a flag, a snapshot that is swapped, the last value. It is
not where a call reads it twice and may see two values, where it reads back what it has written, or where
it reads two variables that belong together. None of that can be said of two accesses alone, so what is
needed of all accesses to a variable is collected here, and asked for when a finding is shown: the
verdict does not depend on which came first.

*Memo*: a call looks under a lock, computes without it, and stores under it. Two calls may compute the
same, and one of both is lost, which harms nobody if the value is the same, and nobody changes it later.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

#: The verdicts on a conflict that may be harmless.
NOTE, MEMO = "note", "memo"
#: What is written to a variable in different calls, if it is not one constant.
MIXED = object()

#: How many of each are remembered.
_MOST = 50

_Locks = frozenset[Hashable]


class Written:
    """What a write does to the value of a variable; made without comparing values of the program.

    Args:
        constant: the value, if it is True or False; else ``MIXED``.
        replaces: there was another value before, which is none of None and nothing.
        is_data: it is made of numbers, texts and containers of those.
        key: what the detector knows the value as, if that is an object that is watched.
        deletes: there is no value any more.
        fills: there was an empty container before.
    """

    __slots__ = ("constant", "deletes", "fills", "is_data", "key", "replaces")

    def __init__(
        self,
        constant: object,
        replaces: bool,
        is_data: bool,
        key: Hashable,
        deletes: bool = False,
        fills: bool = False,
    ) -> None:
        self.deletes = deletes
        self.fills = fills
        self.constant = constant
        self.replaces = replaces
        self.is_data = is_data
        self.key = key


#: Of a write of which nothing is known.
UNKNOWN = Written(MIXED, True, False, None)
DELETED = Written(MIXED, True, False, None, deletes=True)


class Uses:
    """How the calls use one variable: all that decides whether conflicts over it harm anybody."""

    __slots__ = (
        "booleans", "constant", "deleted", "disputed", "doubles", "filled", "guard", "is_data", "raced",
        "read_back", "read_with", "replaced", "spoiled", "tested", "writers", "written_with",
    )  # fmt: skip

    def __init__(self) -> None:
        #: The locks that every write holds; None: there was no write.
        self.guard: _Locks | None = None
        #: The threads that write, up to three of them.
        self.writers: set[Hashable] = set()
        #: True or False if nothing else was written; None: there was no write.
        self.constant: object = None
        #: All values are True or False.
        self.booleans = True
        #: It was deleted.
        self.deleted = False
        #: A write has put a value in the place of another one.
        self.replaced = False
        #: All values are plain data.
        self.is_data = True
        #: A value was changed after it had been stored.
        self.spoiled = False
        #: The locks of two looks of one call, and whether both are the same place.
        self.doubles: set[tuple[_Locks, bool]] = set()
        #: The locks under which a call has looked at what it had written before.
        self.read_back: set[_Locks] = set()
        #: Which others were written by the same call, and read by the same call under these locks.
        self.written_with: set[Uses] = set()
        self.read_with: dict[Uses, _Locks] = {}
        #: There is a conflict over it, and one that is a race for certain.
        self.disputed = self.raced = False
        #: A thread that runs no call has put a value in the place of an empty container; and whether
        #: calls test what they find.
        self.filled = self.tested = False

    def wrote(self, thread: Hashable, locks: _Locks, written: Written) -> None:
        """A thread writes it under these locks."""
        self.guard = locks if self.guard is None else self.guard & locks
        if len(self.writers) < 3:
            self.writers.add(thread)
        if self.constant is None:
            self.constant = written.constant
        elif self.constant is not written.constant:
            self.constant = MIXED
        self.booleans &= isinstance(written.constant, bool)
        self.replaced |= written.replaces
        self.deleted |= written.deletes
        self.is_data &= written.is_data

    def looked_twice(self, locks: _Locks, same_place: bool) -> None:
        """A call looks at it again; ``locks`` were held at one of the looks."""
        if len(self.doubles) < _MOST:
            self.doubles.add((locks, same_place))

    def looked_back(self, locks: _Locks) -> None:
        """A call looks at what it has written itself."""
        if len(self.read_back) < _MOST:
            self.read_back.add(locks)

    def went_with(self, other: Uses) -> None:
        """A call has written both."""
        if len(self.written_with) < _MOST:
            self.written_with.add(other)
            other.written_with.add(self)

    def was_read_with(self, other: Uses, locks: _Locks) -> None:
        """A call has read both; ``locks`` were held at one of the looks."""
        for one, another in ((self, other), (other, self)):
            if len(one.read_with) < _MOST or another in one.read_with:
                one.read_with[another] = one.read_with.get(another, locks) & locks

    def harm(self) -> str | None:
        """Why conflicts over it are races after all; None: nothing says so."""
        guard = self.guard or frozenset()
        if len(self.writers) > 1 and any(locks.isdisjoint(guard) for locks in self.read_back):
            return "a call reads back what it has written, which may be what another one wrote"
        if self.filled and not self.tested:
            return "calls may read it before the thread that fills it has done so"
        if len(self.writers) > 1 and any(other.raced for other in self.written_with):
            return "it is written together with another variable, over which there is a race"
        if self.deleted:
            return "it is deleted, and may be gone when it is read"
        is_flag = isinstance(self.constant, bool)
        if self.replaced and not is_flag and any(self._open_doubles(guard)):
            return "a call reads it twice, and may see two values"
        for other, locks in self.read_with.items():
            apart = locks.isdisjoint(guard) and locks.isdisjoint(other.guard or frozenset())
            if apart and other.disputed and other in self.written_with:
                return "it is written together with another variable, and read together with it"
        return None

    def _open_doubles(self, guard: _Locks) -> Iterator[bool]:
        for locks, same_place in self.doubles:
            if locks.isdisjoint(guard):
                # whoever polls a flag sees it change, and that is what for
                yield not (same_place and self.booleans)

    @property
    def memo_harms(self) -> bool:
        """Whether it matters that a value was computed twice, and one is lost."""
        return self.replaced or self.spoiled or not self.is_data

    @property
    def kind(self) -> str:
        """Why conflicts over it are safe in CPython, in words."""
        if isinstance(self.constant, bool):
            return "a flag that goes one way"
        if len(self.writers) <= 1:
            return "one thread alone writes it, and others read it at one moment"
        if self.guard:
            return "it is replaced as a whole under a lock, and read once without"
        return "it is replaced as a whole, and read once: the last value counts"


class Doubt:
    """Whether a conflict is a race: asked when it is shown.

    Args:
        verdict: ``NOTE`` or ``MEMO``.
        uses: of the variable.
    """

    __slots__ = ("_uses", "verdict")

    def __init__(self, verdict: str, uses: Uses) -> None:
        self.verdict = verdict
        self._uses = [uses]

    def add(self, other: Doubt) -> None:
        """The same conflict was seen at another object."""
        self._uses += [uses for uses in other._uses if uses not in self._uses]
        del self._uses[:-_MOST]

    @property
    def harm(self) -> str | None:
        """Why it is a race; None: it is none."""
        if self.verdict == MEMO:
            harms = any(uses.memo_harms for uses in self._uses)
            return "what one call has computed is lost" if harms else None
        return next(filter(None, (uses.harm() for uses in self._uses)), None)

    @property
    def kind(self) -> str:
        """Why it is safe in CPython, in words."""
        return self._uses[-1].kind


class Harmless(Doubt):
    """It is a note, whatever else is seen.

    Args:
        kind: why, in words.
    """

    __slots__ = ("_kind",)

    def __init__(self, kind: str) -> None:
        super().__init__(NOTE, Uses())
        self._kind = kind

    @property
    def harm(self) -> str | None:
        """Nothing makes a race of it."""
        return None

    @property
    def kind(self) -> str:
        """Why it is safe in CPython, in words."""
        return self._kind
