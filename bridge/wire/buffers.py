"""A message as a row of buffers, so that large data in it leaves without being copied together."""

from __future__ import annotations

from itertools import islice

from msgpack import Packer, StackError, Unpacker

from ..typing_names import Any
from .extensions import TENSOR
from .loaded import loaded_class
from .shared import BYTES, TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from .collected import Collected

#: From this size on, data is left where it is.
LARGE_BYTES = 1 << 16
#: Of a container with more items than this, the first and the last stand for all.
_MAX_ITEMS = 16
#: So many containers are searched for large data.
_MAX_CONTAINERS = 64
#: Nothing below so many levels is searched.
_MAX_LEVELS = 64
_MAX_BYTES = 2**32 - 1
#: What is no longer is looked at without a new ``Unpacker``.
_SMALL_BYTES = 1 << 14
#: What is wrong with a list that has become another while it was encoded, in the words of Python's dicts.
CHANGED = "list changed size during iteration"
#: What nearly all items are; and what holds others.
_SMALL = frozenset([int, str, float, bool, type(None)])
_CONTAINERS = frozenset([dict, list, tuple])
_OF_DATA = frozenset([bytes, bytearray, memoryview])


class Parts:
    """Buffers whose bytes, one after another, are a message; ``len()`` counts the bytes.

    For one thread. ``buffers`` can be read at any time.

    Args:
        max_bytes: Beyond this, bytes are counted and not kept; default: there is no such limit.
        collected: Takes what is large into shared memory; default: it stays in the message.
    """

    __slots__ = ("buffers", "collected", "_size", "_small", "_max_bytes")

    def __init__(self, max_bytes: int = 2**63, collected: Collected | None = None) -> None:
        self.collected = collected
        self.buffers: list[bytes | bytearray | memoryview] = []
        self._max_bytes = max_bytes
        self._size = 0
        self._small = bytearray()

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.buffers)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may follow. If not, they are counted as if they did."""
        if self._size + size <= self._max_bytes:
            return True
        self.buffers.clear()
        self._size += size
        return False

    def add(self, data: bytes) -> None:
        """Append bytes that are copied."""
        if not self.has_room(len(data)):
            return
        if not self.buffers or self.buffers[-1] is not self._small:
            self._small = bytearray()
            self.buffers.append(self._small)
        self._small += data
        self._size += len(data)

    def add_large(self, data: bytes | memoryview) -> None:
        """Append bytes that stay where they are. They must not change until they are written."""
        if not self.has_room(len(data)):
            return
        self.buffers.append(data)
        self._size += len(data)


#: An encoded message: its bytes, or a row of buffers with a length.
Payload = bytes | Parts


def holds_large(value: Any) -> bool:
    """Whether something in the value is so large that a copy costs more than this.

    Of containers with many items the first and the last are looked at, of texts in one the last, and of
    many containers the first ones.
    """
    kind = type(value)
    if kind not in _CONTAINERS:
        if kind is str:
            return len(value) >= LARGE_BYTES
        return kind not in _SMALL and _is_large(value)
    # no call and no list that nearly every result can do without: all come by here
    inner: list[Any] | None = None
    item: Any = None
    count = 0
    while True:
        items = value.values() if type(value) is dict else value
        if len(value) > _MAX_ITEMS:
            items = (value[0], value[-1]) if type(value) is not dict else islice(items, 1)
        for item in items:
            kind = type(item)
            if kind in _SMALL:
                continue
            if kind not in _CONTAINERS:
                if _is_large(item):
                    return True
            elif inner is None:
                inner = [item]
            elif len(inner) < _MAX_CONTAINERS:
                inner.append(item)
        if kind is str and value and len(item) >= LARGE_BYTES:
            return True
        if inner is None or count == len(inner):
            return False
        value = inner[count]
        count += 1


def count_large(value: Any) -> int:
    """How many bytes of large data are in the items of a dict, or list, of any items. Not deeper."""
    items = value.values() if type(value) is dict else value
    if not _OF_DATA & {*map(type, items)}:
        return 0
    sizes = (memoryview(item).nbytes for item in items if type(item) in _OF_DATA)
    return sum(size for size in sizes if size >= LARGE_BYTES)


class WholeCheck:
    """Looks whether bytes are exactly one value, as they are not if a list has changed meanwhile.

    For one thread. It keeps an ``Unpacker`` for small ones: to make one costs more than to encode them,
    and without a GIL every answer is looked at.
    """

    __slots__ = ("_unpacker", "_end")

    def __init__(self) -> None:
        self._unpacker: Unpacker | None = None
        self._end = 0

    def is_whole(self, data: bytes) -> bool:
        """Whether these bytes are exactly one value."""
        size = len(data)
        unpacker = self._unpacker if size <= _SMALL_BYTES else None
        begin = self._end
        if unpacker is None:
            unpacker = Unpacker(max_buffer_size=max(size, _SMALL_BYTES))
            begin = 0
        self._unpacker = None  # it is used again if all goes well
        unpacker.feed(data)
        try:
            unpacker.skip()
        except StackError:
            return True  # nested deeper than it looks
        except Exception:
            return False
        end: int = unpacker.tell()
        if end - begin != size:
            return False
        if size <= _SMALL_BYTES:
            self._unpacker, self._end = unpacker, end
        return True


def scatter(
    packer: Packer,
    value: Any,
    max_bytes: int = 2**63,
    converted: Container[type] = (),
    collected: Collected | None = None,
) -> Parts:
    """The value as MessagePack, its large parts where they are.

    Args:
        packer: For all but the large parts; with ``autoreset``.
        value: What to encode.
        max_bytes: Of a message that is longer only the length is right; nothing is copied for it.
        converted: The classes whose values the packer makes something else of, however large.
        collected: Takes what is large into shared memory; default: it stays in the message.

    Raises:
        ValueError: Something has more than 4 GiB, or a list has changed size meanwhile.
        Exception: What ``packer`` raises; it is of no use then.
    """
    parts = Parts(max_bytes, collected)
    _scatter(packer, value, parts, 0, converted)
    return parts


def _is_large(value: Any) -> bool:
    kind = type(value)
    if kind is bytes or kind is bytearray or kind is str:
        return len(value) >= LARGE_BYTES
    if kind is memoryview:
        try:
            return bool(value.nbytes >= LARGE_BYTES)
        except ValueError:  # it was released, which the encoder says with the place
            return False
    return kind is loaded_class("numpy", "ndarray") and value.nbytes >= LARGE_BYTES


def _scatter(
    packer: Packer, value: Any, parts: Parts, level: int, converted: Container[type]
) -> None:
    kind = type(value)
    if kind in _CONTAINERS:
        few = len(value) <= _MAX_ITEMS
        if level >= _MAX_LEVELS or not (few or holds_large(value)):
            parts.add(_pack_whole(packer, value))
        elif kind is dict:
            parts.add(packer.pack_map_header(len(value)))
            for key, item in value.items():
                parts.add(_pack_whole(packer, key))
                _scatter(packer, item, parts, level + 1, converted)
        else:
            size = len(value)
            parts.add(packer.pack_array_header(size))
            for item in value:
                _scatter(packer, item, parts, level + 1, converted)
                size -= 1
            if size:
                raise ValueError(CHANGED)
    elif kind in _SMALL and kind is not str:
        parts.add(packer.pack(value))
    elif not _is_large(value) or kind in converted:
        parts.add(_pack_whole(packer, value))
    elif kind is bytes:
        _add_data(b"\xc6", BYTES, value, parts)
    elif kind is str:
        # not in one with what is to be asked: half a character raises, however long it all is
        _add_data(b"\xdb", TEXT, value.encode(), parts)
    elif kind is not bytearray and kind is not memoryview:
        _add_tensor(value, parts)
    else:
        view = memoryview(value)
        size, collected = view.nbytes, parts.collected
        if collected is not None and size >= collected.least and view.c_contiguous:
            parts.add(collected.plain(BYTES, view, size))
            return
        head = b"\xc6" + _size(size)
        if parts.has_room(len(head) + size):
            parts.add(head)
            parts.add_large(bytes(value))  # its owner may change it


def _pack_whole(packer: Packer, value: Any) -> bytes:
    data: bytes = packer.pack(value)
    if type(value) is not str and not WholeCheck().is_whole(data):
        raise ValueError(CHANGED)
    return data


def _add_data(head: bytes, kind: int, data: bytes, parts: Parts) -> None:
    collected = parts.collected
    if collected is not None and len(data) >= collected.least:
        parts.add(collected.plain(kind, data, len(data)))
        return
    parts.add(head + _size(len(data)))
    parts.add_large(data)


def _add_tensor(array: Any, parts: Parts) -> None:
    collected = parts.collected
    if collected is not None and array.nbytes >= collected.least:
        parts.add(collected.tensor(array))
        return
    size = 16 + 8 * array.ndim + array.nbytes  # of the name, the rank and the shape, the elements
    head = b"\xc9" + _size(size) + bytes([TENSOR])
    if parts.has_room(len(head) + size):
        from .tensors import split_tensor  # with the first array

        header, elements = split_tensor(array)
        parts.add(head + header)
        parts.add_large(elements)


def _size(size: int) -> bytes:
    if size > _MAX_BYTES:
        raise ValueError(f"{size} bytes are too large for one value of MessagePack")
    return size.to_bytes(4, "big")
