"""How variables are accessed, and which accesses race.

CPython has variables whose single operations are atomic, its containers. So an access has a
*mode*, and ``CONFLICTS`` says which modes race.
"""

from __future__ import annotations

#: How plain variables, attributes and items, are accessed.
READ, WRITE = "read", "write"
#: Atomic changes of one item: ``set.add``, ``dict.setdefault``.
TOUCH = "touch"
#: How the structure of a container is used: looked at by an atomic operation; copied; walked through
#: live; grown and shrunk atomically; put in another order.
PEEK, COPY, ITERATE, GROW, SHRINK, REORDER = "peek", "copy", "iterate", "grow", "shrink", "reorder"
#: How the items of a container, or the attributes of an object, are used as one: all looked at, one after
#: another or in one step, and one of them written that had another value before.
WALK, SNAPSHOT, OVERWRITE = "walk", "snapshot", "overwrite"
#: A change that was decided by an earlier look at the same variable.
ACT = "act"

#: The modes that change nothing.
LOOKS = frozenset([READ, PEEK, COPY, ITERATE, WALK, SNAPSHOT])
#: The modes of accesses to a whole: no call decides by those alone.
OF_WHOLES = frozenset([WALK, SNAPSHOT, OVERWRITE])
_MODES = (
    READ, WRITE, TOUCH, PEEK, COPY, ITERATE, GROW, SHRINK, REORDER, ACT, WALK, SNAPSHOT, OVERWRITE
)  # fmt: skip
#: Modes that race with each other, unless a lock or a hand-over keeps them apart.
_PAIRS = [
    (READ, WRITE), (WRITE, WRITE), (WRITE, TOUCH),
    (ITERATE, GROW), (ITERATE, SHRINK), (ITERATE, REORDER), (PEEK, REORDER),
    (REORDER, REORDER), (REORDER, GROW), (REORDER, SHRINK),
    (ACT, ACT), (ACT, WRITE), (ACT, TOUCH), (ACT, GROW), (ACT, SHRINK), (ACT, REORDER),
    (WALK, OVERWRITE), (SNAPSHOT, OVERWRITE), (ACT, ITERATE), (ACT, READ), (ACT, PEEK), (ACT, COPY), (COPY, REORDER),
]  # fmt: skip
CONFLICTS: dict[str, frozenset[str]] = {
    mode: frozenset(other for other in _MODES if (mode, other) in _PAIRS or (other, mode) in _PAIRS)
    for mode in _MODES
}
