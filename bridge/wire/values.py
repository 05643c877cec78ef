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
=========================  ===================================================

The layouts are specified byte by byte in ``protos/stdio.md``. A type can only be met if somebody
imported its module, so no module is imported here to look for it.
"""

from __future__ import annotations

import struct
import sys
from collections import deque
from collections.abc import Mapping, Set, ValuesView
from datetime import date, datetime, time, timedelta

from msgpack import ExtType, Timestamp

from ..errors import EncodeError, RemoteProtocolError, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy

BIG_INTEGER, TENSOR = 1, 2
#: Element types of a tensor, named as in Nx, and NumPy's names for them (little-endian).
DTYPES = {
    "u8": "<u1", "u16": "<u2", "u32": "<u4", "u64": "<u8",
    "s8": "<i1", "s16": "<i2", "s32": "<i4", "s64": "<i8",
    "f16": "<f2", "f32": "<f4", "f64": "<f8",
    "c64": "<c8", "c128": "<c16",
}  # fmt: skip
_TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()} | {
    "|b1": "u8",
    "|u1": "u8",
    "|i1": "s8",
}
#: NumPy's own limit is 32 dimensions up to version 1 and 64 since; nobody needs more than this.
MAX_RANK = 32
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
_MAX_EMPTY_LISTS = 1_000_000
#: One element of the payload after another: 8 bytes of name, then unsigned integers.
_NAME_BYTES = 8


def to_wire(value: Any) -> Any:
    """The form of a value that ``msgpack`` does not know: one that it does.

    Inside a container ``msgpack`` asks again. Raises ``TypeError`` if there is no such form; the
    codec then finds the path.
    """
    plain = _one_step(value)
    while not isinstance(plain, _KNOWN) or (type(plain) is int and not _MIN <= plain <= _MAX):
        if type(plain) is type(value) and type(plain) is not int:
            raise _no_form(plain)
        value, plain = plain, _one_step(plain)
    return plain


def _one_step(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return _encode_big_integer(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return _encode_tensor(value)
        if isinstance(value, numpy.generic):
            return value.item()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _encode_tensor(value.numpy(force=True))
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else _encode_timestamp(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Set | deque | range | ValuesView):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
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
    raise _no_form(value)


def _no_form(value: Any) -> TypeError:
    kind = type(value)
    return TypeError(f"no form on the wire for {kind.__module__}.{kind.__qualname__}")


def decode_extension(code: int, data: bytes) -> Any:
    """The value of an extension type. Raises ``RemoteProtocolError`` if it is unknown or malformed."""
    if code == BIG_INTEGER:
        return _decode_big_integer(data)
    if code == TENSOR:
        return _decode_tensor(data)
    raise RemoteProtocolError(f"unknown extension type {code}; known: -1, {BIG_INTEGER}, {TENSOR}")


def explain_unencodable(name: str, value: Any, cause: Exception) -> EncodeError:
    """The error that says where in ``value``, called ``name``, the trouble is, and what it is."""
    try:
        found = _find_unencodable(name, value)
    except (RecursionError, MemoryError):
        found = None
    if "recursion" in str(cause):
        found = name, "it is nested too deeply (more than 1023 levels), or contains itself"
    path, reason = found or (name, str(cause) or type(cause).__name__)
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
    return Timestamp(seconds, since.microseconds * 1000)


def _encode_tensor(array: numpy.ndarray[Any, Any]) -> ExtType:
    header, elements = _split(array)
    return ExtType(TENSOR, b"".join((header, elements.data)))


def split_tensor(array: numpy.ndarray[Any, Any]) -> tuple[bytes, memoryview]:
    """The payload of a tensor's extension type in two: what comes first, and the elements.

    The elements are not copied if nobody can change them. Raises ``TypeError`` if there is no such
    tensor on the wire.
    """
    header, elements = _split(array)
    numpy = sys.modules["numpy"]
    if numpy.may_share_memory(elements, array) and not _is_frozen(array):
        elements = elements.copy()
    return header, elements.data


def _is_frozen(array: Any) -> bool:
    """Has the owner of the elements made them read-only?"""
    numpy = sys.modules["numpy"]
    while isinstance(array, numpy.ndarray) and not array.flags.writeable:
        if array.base is None:
            return True
        array = array.base
    return type(array) is bytes


def _split(array: numpy.ndarray[Any, Any]) -> tuple[bytes, numpy.ndarray[Any, Any]]:
    """A tensor's header, and its elements as bytes."""
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        if masked.is_masked(array):
            raise TypeError(
                "no tensor on the wire for an array with masked elements; filled() replaces these, "
                "tolist() makes them nil"
            )
        array = masked.getdata(array)
    name = _TYPE_NAMES.get(array.dtype.newbyteorder("<").str)
    if array.dtype.name == "bfloat16":
        name = "bf16"
    if name is None or array.ndim > MAX_RANK:
        raise TypeError(
            f"no tensor on the wire for an array of dtype {array.dtype} and rank {array.ndim}; "
            f"there are {', '.join(DTYPES)}, bf16 and bool, up to rank {MAX_RANK}"
        )
    header = name.encode().ljust(_NAME_BYTES, b"\0") + struct.pack(
        f"<{1 + array.ndim}Q", array.ndim, *array.shape
    )
    little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return header, little_endian.reshape(-1).view("u1")


def _decode_tensor(data: bytes) -> numpy.ndarray[Any, Any]:
    name = data[:_NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
    numbers = _NAME_BYTES + 8
    if len(data) < numbers:
        raise RemoteProtocolError(
            "a tensor is element type, rank, shape and elements; it is cut off"
        )
    (rank,) = struct.unpack_from("<Q", data, _NAME_BYTES)
    start = numbers + 8 * rank
    if rank > MAX_RANK or len(data) < start:
        raise RemoteProtocolError(f"a tensor of rank {rank}, but at most {MAX_RANK} and its shape")
    shape = struct.unpack_from(f"<{rank}Q", data, numbers)
    dtype = _dtype(name)
    size = dtype.itemsize
    for dimension in shape:
        size *= dimension
    if len(data) - start != size:
        raise RemoteProtocolError(
            f"a tensor {name} of shape {list(shape)} has {size} bytes of elements, "
            f"got {len(data) - start}"
        )
    import numpy

    # a read-only view of the message: no copy
    return numpy.frombuffer(data, dtype, offset=start).reshape(shape)


def to_lists(array: Any) -> Any:
    """An array, a tensor or a scalar of theirs as nested lists: the form in JSON.

    Raises ``TypeError`` for one without elements whose lists would fill the memory.
    """
    lists = 1
    for dimension in getattr(array, "shape", ()):
        if dimension == 0 and lists > _MAX_EMPTY_LISTS:
            raise TypeError(f"an array of shape {tuple(array.shape)} is {lists} empty lists")
        lists *= dimension
    return array.tolist()


def _dtype(name: str) -> Any:
    try:
        import numpy

        if name == "bf16":
            import ml_dtypes  # NumPy has no bfloat16 of its own

            return numpy.dtype(ml_dtypes.bfloat16)
    except ImportError as error:
        from ..requirements import Requirement, how_to_install

        package = error.name or "numpy"
        raise RemoteProtocolError(
            f"a tensor needs the Python package {package}, which is not installed: "
            f"{how_to_install([Requirement(package)])}"
        ) from None
    if name not in DTYPES:
        known = ", ".join(DTYPES)
        raise RemoteProtocolError(
            f"unknown element type {name!r} of a tensor; there are {known}, bf16"
        )
    return numpy.dtype(DTYPES[name])


def _find_unencodable(path: str, value: Any) -> tuple[str, str] | None:
    """The first part of ``value`` that cannot be encoded: its path and the reason."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return path, "text with a lone surrogate, which is not valid Unicode"
        return None
    if value is None or isinstance(value, int | float | bytes | bytearray | memoryview):
        return None
    if isinstance(value, ExtType | Timestamp):
        return None
    if isinstance(value, dict | list | tuple):
        for part_path, part, _ in walk(path, value):
            found = _find_unencodable(part_path, part)
            if found:
                return found
        return None
    try:
        plain = to_wire(value)
    except Exception as error:
        return path, str(error)
    return _find_unencodable(path, plain)


def walk(
    path: str, value: dict[Any, Any] | list[Any] | tuple[Any, ...]
) -> Iterator[tuple[str, Any, bool]]:
    """The parts of a value at ``path``: of each its path, itself, and whether it is a key."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"the key {shorten(key)} of {path}", key, True
            named = isinstance(key, str) and key.isidentifier()
            yield f"{path}.{key}" if named else f"{path}[{shorten(key)}]", item, False
    else:
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item, False


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
