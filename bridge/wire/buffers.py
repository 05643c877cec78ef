"""A message as a row of buffers, so that large data in it leaves without being copied together."""

from __future__ import annotations

import sys

from msgpack import Packer

from ..typing_names import Any
from .tensors import TENSOR, split_tensor

#: From this size on, data is left where it is.
LARGE_BYTES = 1 << 16
#: A container with more items than this is not searched for large data, nor are its containers.
_MAX_ITEMS = 16
_MAX_BYTES = 2**32 - 1
#: What nearly all items are.
_SMALL = frozenset([int, str, float, bool, type(None), dict, list, tuple])


class Parts:
    """Buffers whose bytes, one after another, are a message; ``len()`` counts the bytes.

    For one thread. ``buffers`` can be read at any time.
    """

    __slots__ = ("buffers", "_size", "_small")

    def __init__(self) -> None:
        self.buffers: list[bytes | bytearray | memoryview] = []
        self._size = 0
        self._small = bytearray()

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.buffers)

    def add(self, data: bytes) -> None:
        """Append bytes that are copied."""
        if not self.buffers or self.buffers[-1] is not self._small:
            self._small = bytearray()
            self.buffers.append(self._small)
        self._small += data
        self._size += len(data)

    def add_large(self, data: bytes | memoryview) -> None:
        """Append bytes that stay where they are. They must not change until they are written."""
        self.buffers.append(data)
        self._size += len(data)


#: An encoded message: its bytes, or a row of buffers with a length.
Payload = bytes | Parts


def holds_large(value: Any) -> bool:
    """Whether the value, or one of the few items in it, is so large that a copy costs more than this."""
    kind = type(value)
    if kind is dict:
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return kind not in _SMALL and _is_large(value)
    if len(value) > _MAX_ITEMS:
        return False
    for item in items:  # noqa: SIM110  # any() costs twice as much, and every result comes by
        if type(item) not in _SMALL and _is_large(item):
            return True
    return False


def scatter(packer: Packer, value: Any) -> Parts:
    """The value as MessagePack, its large parts where they are.

    Args:
        packer: For all but the large parts; with ``autoreset``.
        value: What to encode.

    Raises:
        ValueError: Something has more than 4 GiB.
        Exception: What ``packer`` raises; it is of no use then.
    """
    parts = Parts()
    _scatter(packer, value, parts)
    return parts


def _is_large(value: Any) -> bool:
    kind = type(value)
    if kind is bytes:
        return len(value) >= LARGE_BYTES
    numpy = sys.modules.get("numpy")
    return numpy is not None and kind is numpy.ndarray and value.nbytes >= LARGE_BYTES


def _scatter(packer: Packer, value: Any, parts: Parts) -> None:
    kind = type(value)
    if kind in (list, tuple) and len(value) <= _MAX_ITEMS:
        parts.add(packer.pack_array_header(len(value)))
        for item in value:
            _scatter(packer, item, parts)
    elif kind is dict and len(value) <= _MAX_ITEMS:
        parts.add(packer.pack_map_header(len(value)))
        for key, item in value.items():
            parts.add(packer.pack(key))
            _scatter(packer, item, parts)
    elif not _is_large(value):
        parts.add(packer.pack(value))
    elif kind is bytes:
        parts.add(b"\xc6" + _size(len(value)))
        parts.add_large(value)
    else:
        header, elements = split_tensor(value)
        size = len(header) + len(elements)
        parts.add(b"\xc9" + _size(size) + bytes([TENSOR]) + header)
        parts.add_large(elements)


def _size(size: int) -> bytes:
    if size > _MAX_BYTES:
        raise ValueError(f"{size} bytes are too large for one value of MessagePack")
    return size.to_bytes(4, "big")
