"""The large parts of a message that go through shared memory, and the references that stand for them.

``protos/stdio.md`` specifies both; ``lending.py`` reads them.
"""

from __future__ import annotations

import struct

from msgpack import ExtType, packb

from ..typing_names import Any
from .extensions import SHARED, TABLE, TENSOR
from .shared import BYTES, PLACE_HEAD, TABLE_PART, TENSOR_PART
from .tensors import split_whole

_PLACE = struct.Struct(">3Q")
_REFERENCE = struct.Struct(">BQQ")
#: Parts of a place begin at multiples of this, so that elements of any size are aligned.
_ALIGNED = 64
#: What a large part becomes of an extension type whose payload is all in the place.
_PARTS = {TABLE: TABLE_PART, TENSOR: TENSOR_PART}


class Collected:
    """The large parts of one message that is being encoded. One thread uses it.

    Args:
        least: Smaller ones stay in the message.
    """

    __slots__ = ("least", "size", "parts")

    def __init__(self, least: int) -> None:
        self.least = least
        #: How many bytes the place must have.
        self.size = 0
        #: What belongs where in the place.
        self.parts: list[tuple[int, Any]] = []

    def refer(self, kind: int, data: Any, size: int, head: bytes = b"") -> bytes:
        """Collect a part; returns the payload of the reference that stands for it."""
        offset = -(-self.size // _ALIGNED) * _ALIGNED
        self.parts.append((offset, data))
        self.size = offset + size
        return _REFERENCE.pack(kind, offset, size) + head

    def plain(self, kind: int, data: Any, size: int) -> bytes:
        """The same for bytes or text; returns the reference as MessagePack."""
        return _pack(self.refer(kind, data, size))

    def tensor(self, array: Any) -> bytes:
        """The same for an array. Raises ``TypeError`` if there is no such tensor on the wire."""
        head, elements = split_whole(array)
        return _pack(self.refer(TENSOR_PART, elements.data, elements.nbytes, head))

    def converted(self, plain: Any) -> Any:
        """What a value has become, with references for what is large in it. Not deeper."""
        kind = type(plain)
        if kind is ExtType and plain.code in _PARTS and len(plain.data) >= self.least:
            return self._extension(plain)
        if kind is dict:
            return {key: self._item(item) for key, item in plain.items()}
        if kind is list:
            return [self._item(item) for item in plain]
        return plain

    def prefix(self, number: int, offset: int) -> bytes:
        """What such a message begins with, once it has a place."""
        return PLACE_HEAD + _PLACE.pack(number, offset, self.size)

    def _item(self, item: Any) -> Any:
        if type(item) is bytes and len(item) >= self.least:
            return ExtType(SHARED, self.refer(BYTES, item, len(item)))
        return item

    def _extension(self, plain: Any) -> ExtType:
        data, head = memoryview(plain.data), b""
        if plain.code == TENSOR:
            size = 16 + 8 * int.from_bytes(data[8:16], "little")
            head, data = bytes(data[:size]), data[size:]
        return ExtType(SHARED, self.refer(_PARTS[plain.code], data, len(data), head))


def _pack(payload: bytes) -> bytes:
    return bytes(packb(ExtType(SHARED, payload)) or b"")
