"""MessagePack to Python values, at a cost in proportion to its size whatever is in it.

Two things could make it more. Keys of a map that Python's ``dict`` finds at the same place: it goes
from one occupied place to the next, and whoever chooses the keys can have that take seconds. (Those of
text and bytes cannot be chosen so: their hashes are random in each process.) And lists and maps that
are empty, or nearly: one is a byte on the wire and up to 240 in memory.

Nearly every message is read at once, in C; what looks as if it might cost more is read again with a
look at it. So a message of text for keys costs nothing more, and a small one nothing at all.

A large map with other keys is made bit by bit. What a bit takes says whether keys collide, at a fiftieth
of what it costs to find that out beforehand. That is enough, as a dict that grows puts its keys into the
larger table with no more collisions than they had in the smaller one: for each place that is taken on
the way of a key there, the place with the same number, modulo the smaller size, was taken on its way
here. So no growing costs more than the insertions did that came before it.
"""

from __future__ import annotations

# not to know what time it is: the outcome is the same whatever this clock says
from time import thread_time

from msgpack import ExtraData, StackError, unpackb

from ..errors import RemoteProtocolError
from ..typing_names import Any
from .values import decode_extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: A smaller message can cost no more than some microseconds, whatever is in it.
GUARDED_BYTES = 1 << 12
#: So many lists and maps may be in one message, unless ``--max-message-items`` says so.
MAX_ITEMS = 1 << 21
#: A map of fewer keys is not looked at: even if all collide, that costs no more than to decode them.
#: So many are put into a larger one at a time.
_FEW_KEYS = 128
#: If it takes longer than this and so much for each key, it is found out whether they collide. Without
#: collisions it is a tenth to a quarter of that.
_SUSPICIOUS_S = 100e-6
_SUSPICIOUS_KEY_S = 0.5e-6
#: So many places may be occupied on the way to the places of the keys, for each. With hashes at random
#: there is less than one; multiples of 2**32 meet eight.
_MAX_COLLISIONS = 10
_HASH_BITS = 2**64 - 1
#: A message that could hold too many lists and maps is read with a count, which costs as much as to
#: read them, up to so many. If there are more, the bytes tell whether that has to be.
_FEW_ITEMS = 1000
_BLOCK_BYTES = 1 << 20
#: With which a list or a map begins.
_BEGINNINGS = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])


def read_value(
    data: bytes | memoryview,
    max_items: int,
    unicode_errors: str | None = None,
    decode: Callable[[int, bytes], Any] = decode_extension,
) -> Any:
    """The value of at least ``GUARDED_BYTES`` of MessagePack.

    Args:
        data: One value.
        max_items: So many lists and maps may be in it.
        unicode_errors: As of ``bytes.decode``; default: ``strict``.
        decode: Makes the values of extensions.

    Raises:
        RemoteProtocolError: It would cost too much; or an extension is malformed.
        Exception: What msgpack raises for what is malformed.
    """
    try:
        few = min(_FEW_ITEMS, max_items) if len(data) > max_items else None
        return _read(data, few, unicode_errors, decode)
    except _TooManyItems:
        pass
    try:
        exact = max_items if _may_hold_more(data, max_items) else None
        return _read(data, exact, unicode_errors, decode)
    except _TooManyItems:
        raise too_many_items(max_items) from None


def too_many_items(max_items: int) -> RemoteProtocolError:
    """The error of a message that holds more than ``max_items`` lists and maps."""
    return RemoteProtocolError(
        f"more than {max_items} lists and maps in one message (--max-message-items); send "
        "numbers as an array or bytes, or several messages",
        code="resource_exhausted",
    )


class _TooManyItems(Exception):
    """There are more lists and maps than were to be read."""


def _may_hold_more(data: bytes | memoryview, max_items: int) -> bool:
    """Whether there are so many bytes with which a list or a map begins, whatever they are here."""
    count = 0
    for start in range(0, len(data), _BLOCK_BYTES):
        block = bytes(data[start : start + _BLOCK_BYTES])
        count += len(block) - len(block.translate(None, _BEGINNINGS))
    return count > max_items


def _read(
    data: bytes | memoryview,
    max_items: int | None,
    unicode_errors: str | None,
    decode: Callable[[int, bytes], Any],
) -> Any:
    """As ``read_value``. Without ``max_items`` lists and maps are not counted.

    Raises:
        _TooManyItems: There is one too many; not all were made.
    """
    options: dict[str, Any] = {
        "ext_hook": decode,
        "timestamp": 3,
        "unicode_errors": unicode_errors,
    }
    # first: are all keys text or bytes? Then: is there a large map?
    for limits in {"strict_map_key": True}, {"strict_map_key": False, "max_map_len": _FEW_KEYS}:
        try:
            return unpackb(data, **options, **limits, **_hooks(max_items))
        except UnicodeDecodeError:
            raise
        except ValueError:
            continue  # the next attempt says what is wrong, if it is something else
    hooks = _hooks(max_items)
    count = hooks.pop("object_hook", None)

    def watched(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        made = dict(pairs) if len(pairs) <= _FEW_KEYS else _make(pairs)
        return made if count is None else count(made)

    return unpackb(data, strict_map_key=False, object_pairs_hook=watched, **options, **hooks)


def _hooks(max_items: int | None) -> dict[str, Any]:
    """What counts lists and maps as they are made, and stops at one too many."""
    if max_items is None:
        return {}
    left = max_items

    def count(item: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooManyItems
        return item

    return {"list_hook": count, "object_hook": count}


def _make(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of many pairs. Raises if its keys collide."""
    made = dict(pairs[:_FEW_KEYS])
    began = thread_time()
    for start in range(_FEW_KEYS, len(pairs), _FEW_KEYS):
        stop = start + _FEW_KEYS
        made.update(pairs[start:stop])
        if thread_time() - began > _SUSPICIOUS_S + stop * _SUSPICIOUS_KEY_S:
            _check_collisions([key for key, _ in pairs])
            made.update(pairs[stop:])
            break
    return made


def _check_collisions(keys: list[Any]) -> None:
    """Raise if a dict of these keys, made in this order, is slow at any size that it grows through.

    It is as ``Objects/dictobject.c`` of CPython finds a place. Each size is tried with as many keys as
    a dict of that size has before it grows.
    """
    hashes = [hash(key) for key in keys]
    sizes = [2 * _FEW_KEYS]
    while sizes[-1] * 2 // 3 < len(hashes):
        sizes.append(sizes[-1] * 2)
    for size in reversed(sizes):  # most of what it took, it took at the last ones
        _find_places(hashes[: size * 2 // 3], size)


def _find_places(hashes: list[int], size: int) -> None:
    mask = size - 1
    taken = bytearray(size)
    left = len(hashes) * _MAX_COLLISIONS
    for number in hashes:
        place = number & mask
        if taken[place]:
            rest = number & _HASH_BITS
            while taken[place]:
                left -= 1
                if left < 0:
                    raise RemoteProtocolError(
                        f"a map with {len(hashes)} keys or more whose hashes collide, which nothing "
                        "but bad luck or bad will makes; have text for keys",
                        code="resource_exhausted",
                    )
                rest >>= 5
                place = (place * 5 + rest + 1) & mask
        taken[place] = 1


def explain_unreadable(error: Exception) -> RemoteProtocolError:
    """What msgpack means by its exception, in words for the peer."""
    if isinstance(error, RemoteProtocolError):
        return error
    if isinstance(error, ExtraData):
        return RemoteProtocolError(f"{len(error.extra)} bytes follow the message in its frame")
    if isinstance(error, MemoryError):
        return RemoteProtocolError("no memory to read the message", code="resource_exhausted")
    if isinstance(error, OverflowError):
        return RemoteProtocolError("a time is not in the years 1 to 9999, which Python counts")
    if isinstance(error, StackError | RecursionError):
        return RemoteProtocolError("the message is nested too deeply")
    if isinstance(error, TypeError) and "unhashable" in str(error):
        return RemoteProtocolError(
            "map keys must be scalars: nil, a boolean, a number, text or bytes"
        )
    return RemoteProtocolError(f"not a MessagePack message: {str(error) or 'a bad format byte'}")
