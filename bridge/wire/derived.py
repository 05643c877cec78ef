"""Values of MessagePack's own classes instead of classes derived from these, whose code may never end.

msgpack iterates over a list of a derived class as that says, in C, and holds the GIL meanwhile. For what
people read, the details of errors, records of log and progress, no such code is asked.
"""

from __future__ import annotations

from msgpack import ExtType, Timestamp

from ..typing_names import Any

_LEAVES = frozenset([type(None), bool, int, float, str, bytes])
_ALL = slice(None)


def exactly(value: Any) -> Any:
    """The same value, whose lists, maps, texts and numbers are exactly that. Any thread.

    What is neither, an object or an array, is as it was. Runs no code of the value's classes, but the
    ``__hash__`` and ``__eq__`` of keys that are neither.
    """
    outermost = [value]
    todo: list[Any] = [outermost]
    made: dict[int, Any] = {}  # of what contains itself, or stands in many places
    while todo:  # not by recursion: a tool may have set the limit of that
        container = todo.pop()
        places = list(container.items()) if type(container) is dict else enumerate(container)
        for place, item in places:
            if type(item) in _LEAVES:
                continue
            if isinstance(item, dict | list | tuple):
                copy = made.get(id(item))
                if copy is None:
                    copy = made[id(item)] = _copy(item)
                    todo.append(copy)
                container[place] = copy
            else:
                container[place] = exact_scalar(item)
    return outermost[0]


def _copy(value: Any) -> Any:
    if not isinstance(value, dict):
        return exact_items(value)
    made = {
        tuple(exact_items(key)) if isinstance(key, tuple) else exact_scalar(key): item
        for key, item in dict.items(value)
    }
    # keys may be the same that say that they differ: whoever encodes them looks for that
    return made if len(made) == dict.__len__(value) else dict.copy(value)


def exact_items(value: Any, count: int | None = None) -> list[Any]:
    """The items of a list or a tuple; with ``count`` so many of them."""
    kind: Any = list if isinstance(value, list) else tuple
    return list(kind.__getitem__(value, slice(count)))


def exact_scalar(value: Any) -> Any:
    """What a text, number or row of bytes of a derived class is without that; others as they are."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__pos__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytes):
        return bytes.__getitem__(value, _ALL)
    return bytes(bytearray.copy(value)) if isinstance(value, bytearray) else value


def exact(value: Any) -> Any:
    """What a value of a class derived from one of MessagePack's own is: of that class itself."""
    if value is None or isinstance(value, bool | ExtType | Timestamp):
        return value
    if isinstance(value, dict):
        return value if type(value) is dict else dict.copy(value)
    if isinstance(value, list | tuple):
        return value if type(value) is list else exact_items(value)
    return value if type(value) is bytearray else exact_scalar(value)
