"""What stands in a message in the place of a part that cannot travel, so that the rest does.

For what people read, log records, progress and the details of errors: a result with such a part is
refused instead.
"""

from __future__ import annotations

from msgpack import ExtType, Timestamp

from ..errors import MAX_ERROR_BYTES, cut, cut_lines, shorten, text_of
from ..typing_names import Any
from .derived import exact_items, exact_scalar
from .values import to_wire, told_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import CallError
    from .codec import Encoder

#: Text that stands alone may be so long, in bytes; text within something shorter.
MAX_TEXT_BYTES = 1 << 16
_MAX_INNER_BYTES = 1 << 12
#: So many parts are looked at, so many of one container, and so deep.
_MAX_PARTS = 1000
_MAX_ITEMS = 100
_MAX_LEVELS = 16
_MAX_SHOWN = 200
_MAX_BITS = 4096
#: Of an error: the name of its class may be so long, and with more in all its details are cut.
_MAX_TYPE_BYTES = 1000
_MAX_DETAILS_BYTES = 1 << 20


def sendable(value: Any) -> Any:
    """A value that can travel, like ``value`` but for the parts that cannot, or are too much.

    Half characters are escaped, other parts described, what is long is cut with a mark. Never
    raises, whatever the code of the value's class does. Runs that code.
    """
    if type(value) is str:
        return cut(value, MAX_TEXT_BYTES)
    return _substitute(value, _MAX_LEVELS, _MAX_PARTS)


def _substitute(value: Any, levels: int, parts: int) -> Any:
    try:
        return _plain(value, levels, parts) if levels and parts else shorten(value, _MAX_SHOWN)
    except BaseException:  # code of the value's class, SystemExit included
        return shorten(value, _MAX_SHOWN)


def _plain(value: Any, levels: int, parts: int) -> Any:
    value = exact_scalar(value)  # a class of its own may never end
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return cut(value, _MAX_INNER_BYTES)
    if isinstance(value, int):
        return value if int.bit_length(value) <= _MAX_BITS else shorten(value)
    if isinstance(value, bytes | bytearray | memoryview):
        small = len(value) <= _MAX_INNER_BYTES
        return bytes(value) if small else shorten(bytes(value[:_MAX_SHOWN]), _MAX_SHOWN)
    if isinstance(value, Timestamp):
        return value
    if isinstance(value, ExtType):
        return value if len(value.data) <= _MAX_INNER_BYTES else shorten(value)
    if isinstance(value, dict | list | tuple):
        # each of the items has the same room, so that a large one takes nothing from the others
        parts //= max(1, min(_count(value), _MAX_ITEMS))
        if isinstance(value, dict):
            return _map(value, levels - 1, parts)
        items = exact_items(value, _MAX_ITEMS)
        return [_substitute(item, levels - 1, parts) for item in items] + _more(value)
    plain = to_wire(value)
    if isinstance(plain, ExtType) and len(plain.data) > _MAX_INNER_BYTES:
        return shorten(value, _MAX_SHOWN)  # says more than the bytes do
    return _substitute(plain, levels - 1, parts)


def _map(value: dict[Any, Any], levels: int, parts: int) -> dict[Any, Any]:
    from .json_values import text_key  # not at the start of a bridge

    plain: dict[Any, Any] = {}
    taken: set[Any] = set()
    for index, (key, item) in enumerate(dict.items(value)):
        if index == _MAX_ITEMS:
            plain["…"] = _more(value)[0]
            break
        place = _key(key)
        # two may have the same description, or be the same where they arrive
        while taken & (forms := {told_key(place), ("as JSON", text_key(place))}):
            place = f"{place} ({index})"
        taken |= forms
        plain[place] = _substitute(item, levels, parts)
    return plain


def _key(key: Any) -> Any:
    key = exact_scalar(key)
    if isinstance(key, str):
        return cut(key, _MAX_SHOWN)
    kind = type(key)
    if key is None or kind is bool or kind is float:
        return key
    if kind is int and key.bit_length() <= _MAX_BITS:
        return key
    return key if kind is bytes and len(key) <= _MAX_SHOWN else shorten(key)


def _count(value: Any) -> int:
    base: Any = dict if isinstance(value, dict) else list if isinstance(value, list) else tuple
    count: int = base.__len__(value)
    return count


def _more(value: Any) -> list[str]:
    more = _count(value) - _MAX_ITEMS
    return [f"… ({more} more)"] if more > 0 else []


def encode_error(encoder: Encoder, msgid: int, error: CallError) -> bytes:
    """The response of a call that failed. Long texts are cut, what cannot travel is described."""
    wire = error.to_wire()
    # a tool's own words: of any length, half characters, things that are no text
    wire["message"] = cut(text_of(wire["message"]), MAX_ERROR_BYTES)
    if "type" in wire:
        wire["type"] = cut(text_of(wire["type"]), _MAX_TYPE_BYTES)
    if "traceback" in wire:
        wire["traceback"] = cut_lines(wire["traceback"])
    if "details" not in wire:
        return encoder.error(msgid, wire)
    try:
        data = encoder.error(msgid, wire)
        if len(data) <= _MAX_DETAILS_BYTES:
            return data
    except BaseException:
        pass  # code of the tool's classes, SystemExit included: the error is worth more than its details
    details = sendable(wire["details"])
    wire["details"] = details if type(details) is dict else {"details": details}
    return encoder.error(msgid, wire)
