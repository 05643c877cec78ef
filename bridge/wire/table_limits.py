"""A look at an Arrow IPC stream before it is read: what it would become is in proportion to its size.

Compressed, or of a type without data such as null, some hundred bytes can stand for terabytes. What the
messages of the stream say of that is in their metadata, flatbuffers whose layout is Arrow's
``Message.fbs``; pyarrow has checked their structure when it hands them out.
"""

from __future__ import annotations

import struct

from ..errors import RemoteProtocolError
from ..typing_names import Any

#: A message may become so many times what it is, if its data is compressed.
_MAX_RATIO = 16
#: So many values for each byte: a column of booleans has eight. And so many for none.
_MAX_VALUES, _FREE_VALUES = 8, 4096
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2


def check_table(pyarrow: Any, data: bytes | memoryview) -> None:
    """See that a stream becomes no more than its size allows.

    Raises:
        RemoteProtocolError: It would become too much.
        Exception: What pyarrow raises for what is malformed.
    """
    values = compressed = size = 0
    reader = pyarrow.ipc.MessageReader.open_stream(pyarrow.py_buffer(data))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            break
        if message.type == "schema":
            continue
        body = message.body
        try:
            counted = _measure(message.metadata.to_pybytes(), memoryview(body) if body else b"")
        except struct.error:
            raise RemoteProtocolError("a table whose metadata is cut off") from None
        values += counted[0]
        compressed += counted[1]
        size += counted[2]
    if size > _MAX_RATIO * len(data):
        raise RemoteProtocolError(
            f"a table of {compressed} bytes would have {size} bytes when it is read, more than "
            f"{_MAX_RATIO} times as many; write it without compression",
            code="resource_exhausted",
        )
    if values > _MAX_VALUES * max(len(data), size) + _FREE_VALUES:
        raise RemoteProtocolError(
            f"a table of {len(data)} bytes says that it has {values} values, more than "
            f"{_MAX_VALUES} for a byte",
            code="resource_exhausted",
        )


def _measure(metadata: bytes, body: memoryview | bytes) -> tuple[int, int, int]:
    """How many values a batch has, and its compressed bytes, and what these become."""
    message = _root(metadata)
    kind = _field(metadata, message, 1)
    header = _table(metadata, message, 2)
    if header is None or kind is None:
        return 0, 0, 0
    batch: int | None = header
    if metadata[kind] == _DICTIONARY_BATCH:
        batch = _table(metadata, header, 1)
    elif metadata[kind] != _RECORD_BATCH:
        return 0, 0, 0
    if batch is None:
        return 0, 0, 0
    values = sum(max(length, 0) for length, _ in _pairs(metadata, batch, 1))
    compressed = size = 0
    if _table(metadata, batch, 3) is not None:
        for offset, length in _pairs(metadata, batch, 2):
            if length >= 8 and 0 <= offset <= len(body) - 8:
                (becomes,) = struct.unpack_from("<q", body, offset)
                compressed += length
                size += max(becomes, 0)
    return values, compressed, size


def _root(data: bytes) -> int:
    (position,) = struct.unpack_from("<I", data)
    return int(position)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a table is; None: it has its default."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    if vtable < 0:
        raise struct.error("a vtable before the beginning")
    (size,) = struct.unpack_from("<H", data, vtable)
    place = 4 + 2 * number
    if place + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + place)
    return table + offset if offset else None


def _table(data: bytes, table: int, number: int) -> int | None:
    """Where the table, or the vector, is to which a field points."""
    at = _field(data, table, number)
    if at is None:
        return None
    (offset,) = struct.unpack_from("<I", data, at)
    return at + int(offset)


def _pairs(data: bytes, table: int, number: int) -> list[tuple[int, int]]:
    """A vector of structs of two integers of 64 bits."""
    at = _table(data, table, number)
    if at is None:
        return []
    (count,) = struct.unpack_from("<I", data, at)
    if 16 * count > len(data):
        raise struct.error("a vector beyond the end")
    numbers = struct.unpack_from(f"<{2 * count}q", data, at + 4)
    return list(zip(numbers[::2], numbers[1::2], strict=True))
