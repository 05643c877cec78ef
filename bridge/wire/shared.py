"""What stands for a value in shared memory, and for a message that has some there."""

from __future__ import annotations

from ..errors import RemoteProtocolError
from ..typing_names import Any
from .extensions import SHARED

#: With so many bytes a message begins that has a place: number, offset, size.
PLACE_BYTES = 27
PLACE_HEAD = bytes([0xC7, 24, SHARED])
#: What a reference stands for.
BYTES, TEXT, TENSOR_PART, TABLE_PART = range(4)


class Shared:
    """A value that lies in the place of its message: what it is, where, and what comes before it."""

    __slots__ = ("kind", "offset", "length", "head")

    def __init__(self, kind: int, offset: int, length: int, head: bytes) -> None:
        self.kind = kind
        self.offset = offset
        self.length = length
        self.head = head


class OutOfPlace(RemoteProtocolError):
    """Extension type 4 where none was expected; a message that begins with it is read again."""

    def __init__(self) -> None:
        super().__init__(
            f"extension type {SHARED} refers to shared memory, of which this message has none"
        )


class Lent:
    """A message of which parts lie in shared memory: ``place`` is its number, its offset and its size."""

    __slots__ = ("message", "place")

    def __init__(self, message: Any, place: tuple[int, int, int]) -> None:
        self.message = message
        self.place = place


class LentMessage(bytes):
    """A message whose large parts lie in shared memory.

    ``weight``: how many bytes it has with these. ``loan``: the place, which is given back with the message
    unless ``loan.hand_over()`` says that it is sent.
    """

    weight: int
    loan: Any


def peek_place(frame: bytes | memoryview) -> tuple[int, int, int] | None:
    """The place with which a message begins: its number, its offset and its size; None: it has none."""
    if len(frame) < PLACE_BYTES or frame[:3] != PLACE_HEAD:
        return None
    return (
        int.from_bytes(frame[3:11], "big"),
        int.from_bytes(frame[11:19], "big"),
        int.from_bytes(frame[19:27], "big"),
    )
