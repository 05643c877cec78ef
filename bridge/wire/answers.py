"""What a peer in Python reads of a bridge: all that ``protos/stdio.md`` allows a bridge to send.

That is more than a bridge takes itself: keys of maps may be arrays and maps, times may be beyond
``datetime``, and there is no limit but that of MessagePack.
"""

from __future__ import annotations

from msgpack import unpackb

from ..errors import RemoteProtocolError
from ..typing_names import Any
from .codec import ITEM, make_message
from .messages import Message
from .peeking import peek_integer
from .reading import explain_unreadable
from .values import decode_extension

#: How responses, items and progress begin, up to the id of their call.
_BEGINNINGS = (
    b"\x94\x01",
    b"\x93\x02" + bytes([0xA0 + len(ITEM)]) + ITEM.encode() + b"\x92",
    b"\x93\x02\xaa$/progress\x94",
)


def decode_answer(frame: bytes) -> Message:
    """The message in a frame from a bridge. Any thread.

    Of keys, arrays come as tuples and maps as frozen sets of pairs. Where a time does not fit into
    ``datetime``, all times of the message are ``msgpack.Timestamp``.

    Raises:
        RemoteProtocolError: It is none, or a map has a key twice; ``msgid`` is the call's id if it
            has one.
    """
    try:
        try:
            return make_message(_unpack(frame))
        except RemoteProtocolError:
            raise
        except Exception as error:
            raise explain_unreadable(error) from error
    except RemoteProtocolError as error:
        error.msgid = _peek_id(frame)
        raise


def _unpack(frame: bytes) -> Any:
    options = {
        "strict_map_key": False, "ext_hook": decode_extension, "object_pairs_hook": _make_map,
    }  # fmt: skip
    try:
        return unpackb(frame, timestamp=3, **options)
    except RemoteProtocolError:
        raise
    except (ValueError, OverflowError):
        return unpackb(frame, timestamp=0, **options)


def _make_map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    made = {_make_key(key): item for key, item in pairs}
    if len(made) < len(pairs):
        raise RemoteProtocolError("a map has a key twice")
    return made


def _make_key(key: Any) -> Any:
    if type(key) is list:
        return tuple(map(_make_key, key))
    if type(key) is dict:
        return frozenset((name, _make_key(item)) for name, item in key.items())
    return key


def _peek_id(frame: bytes) -> int | None:
    for beginning in _BEGINNINGS:
        if frame.startswith(beginning):
            return peek_integer(frame[len(beginning) : len(beginning) + 9])
    return None
