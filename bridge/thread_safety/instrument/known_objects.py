"""The table of objects that threads share, which keeps none of them alive for long.

What can have weak references is known by one. Of the others, which are the builtin containers, the table
holds a reference, or their number could come to mean another object; so it looks, at the end of calls,
which of them nobody else refers to any more, and lets those go that have not been used for a long time:
whoever comes to them again finds them anew, by the way that led there before.
"""

from __future__ import annotations

import _thread
import sys
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from typing import Any

from ..detector import Clock

#: How many objects are watched at most; what is met beyond is not.
MAX_OBJECTS = 100_000
#: After how many ends of calls an object is let go that nobody has used since.
_UNUSED = 2_000
#: How many of the older ones are looked at, at each end of a call.
_STEP = 50
#: Of how many objects that were put into a container it is known what had been done before.
_MAX_CLOCKS = 1_000

#: Keys of items that keep nothing alive.
_SIMPLE = frozenset([str, int, bytes, float, bool, type(None), tuple, frozenset])

_keys = count(1)


def _count_references(held: list[object]) -> int:
    value = held[0]
    return sys.getrefcount(value)


#: How many references an object has that is in a table and a local variable, and nowhere else, as
#: ``getrefcount`` counts: from CPython 3.14 on a variable lends its own to the function that is called.
_OWN_REFERENCES = _count_references([object()])


class Shared:
    """An object that several threads may know.

    Args:
        object: the object.
        name: what people know it as.
        owner: the thread that alone has used it so far; None: it is known to all.
        escaped: whether others have used it, or may have.
    """

    __slots__ = (
        "_object", "clocks", "escaped", "key", "name", "namespace_of", "number", "owner", "publisher",
        "seen_whole", "used",
    )  # fmt: skip

    def __init__(self, object: Any, name: str, owner: Hashable, escaped: bool) -> None:
        self._object: Any = object
        #: What the detector knows it as: never another object, as what ``id`` says.
        self.key = next(_keys)
        self.number = id(object)
        self.name = name
        self.owner = owner
        self.escaped = escaped
        #: The call that made it known to others.
        self.publisher: Hashable = None
        #: Of a container: what had been done when an object was put in, by its id.
        self.clocks: dict[int, Clock] = {}
        #: What it is the ``__dict__`` of.
        self.namespace_of: Shared | None = None
        #: Whether anybody has looked at all of its parts as one.
        self.seen_whole = False
        #: When it was used last, in ends of calls.
        self.used = 0

    @property
    def object(self) -> Any:
        """The object; None: it is no more."""
        found = self._object
        return found() if type(found) is _Reference else found

    def came(self, value: Any, clock: Clock) -> None:
        """An object was put in, after what ``clock`` stands for."""
        if len(self.clocks) >= _MAX_CLOCKS:
            del self.clocks[next(iter(self.clocks))]
        self.clocks[id(value)] = clock


class _Reference(weakref.ref):  # type: ignore[type-arg]
    """A weak reference that knows the number of its object."""

    __slots__ = ("number",)

    number: int


class KnownObjects:
    """What is known of objects, by identity. Any thread may call.

    Args:
        lock: held where anything is added or let go.
        gone: called with the key of each object that is no more, under the lock.
        lost: called, with what it is, for each object that finds no place.
    """

    def __init__(
        self,
        lock: _thread.RLock,
        gone: Callable[[Hashable], object],
        lost: Callable[[str], object],
    ) -> None:
        self._lock = lock
        self._gone = gone
        self._lost = lost
        #: By ``id``. Asked at every operation.
        self.table: dict[int, Shared] = {}
        #: How many calls have ended.
        self.now = 0
        #: The objects that died by themselves: told at the next end of a call.
        self._dead: deque[Hashable] = deque()
        #: Those that the table holds a reference to, without those that are there for good.
        self._young: list[Shared] = []
        self._old: deque[Shared] = deque()

    def add(self, value: Any, shared: Shared, *, for_good: bool = False) -> bool:
        """Note an object of any kind. Returns whether it found a place.

        Args:
            for_good: it lives as long as the program, and is always found.
        """
        if len(self.table) >= MAX_OBJECTS and not for_good:
            self._lost("objects that are not watched")
            return False
        with self._lock:
            shared.used = self.now
            try:
                shared._object = reference = _Reference(value, self._died)
                reference.number = id(value)
            except TypeError:
                if not for_good:
                    self._young.append(shared)
            self.table[id(value)] = shared
            if len(self._young) > MAX_OBJECTS // 100:
                self._look(self._young)  # a call that takes long
        return True

    def _died(self, reference: _Reference) -> None:
        # on whatever thread, at any moment: so without the lock
        shared = self.table.get(reference.number)
        if shared is not None and shared._object is reference:
            del self.table[reference.number]
            self._dead.append(shared.key)

    def let_go(self) -> None:
        """A call has ended: let go what nobody else has, or has used for long."""
        if not (self._dead or self._young or self._old):
            self.now += 1
            return
        with self._lock:
            self.now += 1
            while self._dead:
                self._gone(self._dead.popleft())
            young, self._young = self._young, []
            for shared in self._kept(young):
                # those of this call are looked at once more at the end of the next
                (self._young if shared.used >= self.now - 1 else self._old).append(shared)
            older = [self._old.popleft() for _ in range(min(_STEP, len(self._old)))]
            self._old.extend(self._kept(older))

    def _look(self, young: list[Shared]) -> None:
        self._young = []
        self._old.extend(self._kept(young))

    def _kept(self, found: list[Shared]) -> Iterator[Shared]:
        """Those of them that stay; the others are let go."""
        for shared in found:
            value = shared._object
            alone = sys.getrefcount(value) <= _OWN_REFERENCES
            if self.table.get(shared.number) is not shared:
                continue  # noted anew, as something else
            if alone or self.now - shared.used > _UNUSED:
                del self.table[shared.number]
                self._gone(shared.key)
            else:
                yield shared
            del value


def weakly(key: Any) -> Any:
    """A key that is equal as long as the given one lives, and keeps nothing alive, if there is one."""
    if type(key) in _SIMPLE:
        return key
    try:
        return weakref.ref(key)
    except TypeError:
        return key
