"""The values that MessagePack lacks: extension types, and the plain form of rich Python objects.

=========================  ===================================================
Python                     on the wire
=========================  ===================================================
int beyond 64 bits         extension 1: a sign byte, the magnitude big-endian
aware ``datetime``         extension -1, the timestamp of the specification
NumPy array, torch tensor  extension 2: element type, rank, shape, elements
NumPy scalar               its Python value
dataclass, named tuple     map of its fields; array
pydantic model             ``model_dump()``
``Enum``                   its value
set, deque, range, view    array
any other ``Mapping``      map
Decimal, UUID, path        text
naive ``datetime``, date,  ISO 8601 text
time
timedelta                  seconds, as a float
``datetime64``             as a naive ``datetime``, with as many digits as it has
``timedelta64``            as a timedelta
``NaT``, ``pandas.NA``     nil
=========================  ===================================================

The layouts are specified byte by byte in ``protos/stdio.md``. A type can only be met if somebody
imported its module, so no module is imported here to look for it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Set, ValuesView
from datetime import date, datetime, time, timedelta

from msgpack import ExtType, Timestamp

from ..errors import EncodeError, RemoteProtocolError, class_name, shorten, text_of
from ..typing_names import Any
from .keys import explain_same_keys
from .tensors import TENSOR, decode_tensor, encode_tensor
from .times import is_missing, is_time, plain_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from .keys import Form

BIG_INTEGER = 1
#: What ``msgpack`` packs by itself.
_KNOWN: tuple[type, ...] = (
    type(None),
    int,
    float,
    str,
    bytes,
    bytearray,
    memoryview,
    list,
    tuple,
    dict,
)
_KNOWN += (ExtType, Timestamp)
_MIN, _MAX = -(2**63), 2**64 - 1
#: What is not plain after so many conversions, of a model to an enum to its value, never will be.
_MAX_STEPS = 16


def to_wire(value: Any) -> Any:
    """The form of a value that ``msgpack`` does not know: one that it does.

    Inside a container ``msgpack`` calls this again.

    Raises:
        TypeError: There is no such form; the codec then finds the path.
    """
    plain = _one_step(value)
    steps = 1
    while not isinstance(plain, _KNOWN) or (isinstance(plain, int) and not _MIN <= plain <= _MAX):
        if type(plain) is type(value) or steps == _MAX_STEPS:
            raise _no_form(plain)
        value, plain = plain, _one_step(plain)
        steps += 1
    return plain


def wire_key(key: Any) -> Hashable:
    """What a key becomes, for comparison: those that are one on the wire, or in Python, are equal.

    Raises:
        Exception: It has no form on the wire.
    """
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, float):
        return float.__float__(key)
    if isinstance(key, int) and _MIN <= key <= _MAX:
        return int.__pos__(key)
    if isinstance(key, bytes | bytearray | memoryview):
        return bytes(key)
    if key is None or isinstance(key, ExtType | Timestamp):
        return key
    if isinstance(key, list | tuple):
        return tuple(map(wire_key, key))
    if isinstance(key, dict):
        return frozenset((wire_key(name), wire_key(item)) for name, item in key.items())
    return wire_key(to_wire(key))


def told_key(key: Any) -> Hashable:
    """The same where those shall be equal, too, that are one in Elixir: a text and its bytes, NaN."""
    form = wire_key(key)
    if isinstance(form, str):
        return str.encode(form)
    if isinstance(form, tuple):
        return tuple(map(told_key, form))
    return "NaN" if form != form else form


def _one_step(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, int):  # also of a subclass: an IntEnum is beyond 64 bits what it is below
        return _encode_big_integer(int.__pos__(value))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return encode_tensor(value)
        if isinstance(value, numpy.generic):
            return plain_time(value) if is_time(value) else value.item()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return encode_tensor(value.numpy(force=True))
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        if is_missing(value):
            return None
        return value.isoformat() if value.tzinfo is None else _encode_timestamp(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset | deque | range):
        return list(value)
    if isinstance(value, Set | ValuesView):
        return list(_counted(value))
    if isinstance(value, Mapping):
        return {key: value[key] for key in _counted(value)}
    if hasattr(kind, "__dataclass_fields__"):
        fields = sys.modules["dataclasses"].fields(value)
        return {field.name: getattr(value, field.name) for field in fields}
    if hasattr(kind, "__fspath__"):
        return value.__fspath__()
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump()
    for module, name in (("decimal", "Decimal"), ("uuid", "UUID")):
        if module in sys.modules and isinstance(value, getattr(sys.modules[module], name)):
            return str(value)
    if is_missing(value):
        return None
    raise _no_form(value)


def _counted(value: Any) -> Iterator[Any]:
    """The items of a collection, which may not have more than it says: some never end."""
    count = len(value)
    for item in value:
        count -= 1
        if count < 0:
            kind = type(value)
            raise TypeError(
                f"a {kind.__module__}.{kind.__qualname__} has more items than its length, {len(value)}"
            )
        yield item


def _no_form(value: Any) -> TypeError:
    kind = type(value)
    return TypeError(f"no form on the wire for {kind.__module__}.{kind.__qualname__}")


def decode_extension(code: int, data: bytes) -> Any:
    """The value of an extension type.

    Args:
        code: -128 to 127.
        data: The payload, which a tensor keeps a view of.

    Raises:
        RemoteProtocolError: The type is unknown, the payload malformed, or a package is missing.
    """
    if code == BIG_INTEGER:
        return _decode_big_integer(data)
    if code == TENSOR:
        return decode_tensor(data)
    raise RemoteProtocolError(f"unknown extension type {code}; known: -1, {BIG_INTEGER}, {TENSOR}")


def explain_unencodable(
    name: str, value: Any, cause: Exception, form: Form = wire_key
) -> EncodeError:
    """The error that says where in a value the trouble is, and what it is.

    Args:
        name: What the value is called: the path begins with it.
        value: What could not be encoded.
        cause: What was raised meanwhile, for what the search does not find.
        form: What becomes of a key; default: that of MessagePack.
    """
    try:
        found = _find_unencodable(name, value, form)
    except Exception:  # nested too deeply, no memory, or it is changing
        found = None
    said = text_of(cause)
    if "recursion" in said:
        found = name, "it is nested too deeply (more than 1023 levels), or contains itself"
    elif "changed size" in said:
        found = name, f"{said}; a tool that goes on changing what it returns should return a copy"
    path, reason = found or (name, said or class_name(type(cause), module=False))
    return EncodeError(f"{path} cannot be encoded: {reason}")


def _encode_big_integer(value: int) -> ExtType:
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    sign = b"\1" if value < 0 else b"\0"
    return ExtType(BIG_INTEGER, sign + magnitude.to_bytes(size, "big"))


def _decode_big_integer(data: bytes) -> int:
    if len(data) < 2 or data[0] > 1 or data[1] == 0:
        raise RemoteProtocolError(
            "a big integer is a sign byte, 0 or 1, and a magnitude without leading zeros"
        )
    magnitude = int.from_bytes(data[1:], "big")
    return -magnitude if data[0] else magnitude


def _encode_timestamp(value: datetime) -> Timestamp:
    # integer arithmetic: a float of seconds does not hold microseconds this century
    since = value - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    # a time of pandas counts those as well
    return Timestamp(seconds, since.microseconds * 1000 + getattr(since, "nanoseconds", 0))


def _find_unencodable(path: str, value: Any, form: Form) -> tuple[str, str] | None:
    """The first part of ``value`` that cannot be encoded: its path and the reason."""
    if isinstance(value, str):
        try:
            str.encode(value)
        except UnicodeEncodeError:
            return path, "text with a lone surrogate, which is not valid Unicode"
        return None
    if value is None or isinstance(value, int | float | bytes | bytearray | memoryview):
        return None
    if isinstance(value, ExtType | Timestamp):
        return None
    if isinstance(value, dict | list | tuple):
        for part_path, part, _ in walk(path, value):
            found = _find_unencodable(part_path, part, form)
            if found:
                return found
        reason = explain_same_keys(value, form) if isinstance(value, dict) else None
        return (path, reason) if reason else None
    try:
        plain = to_wire(value)
    except Exception as error:
        return path, text_of(error)
    return _find_unencodable(path, plain, form)


def walk(
    path: str, value: dict[Any, Any] | list[Any] | tuple[Any, ...]
) -> Iterator[tuple[str, Any, bool]]:
    """The parts of a container at ``path``: of each its path, itself, and whether it is a key."""
    if isinstance(value, dict):
        for key, item in dict.items(value):  # a class of its own may never end
            yield f"the key {shorten(key)} of {path}", key, True
            named = type(key) is str and key.isidentifier()
            yield f"{path}.{key}" if named else f"{path}[{shorten(key)}]", item, False
    else:
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        for index, item in enumerate(items):
            yield f"{path}[{index}]", item, False


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
