"""Messages of which large parts lie in shared memory: extension type 5, as pure values.

Such a message begins with the place that it has there (number, offset and size, each of 64 bits), and has
a reference where a large part would stand: what it is, where in the place, its length, and of a tensor
what comes before its elements. ``protos/stdio.md`` specifies both.
"""

from __future__ import annotations

import struct

from ..errors import RemoteProtocolError
from ..typing_names import Any
from .extensions import SHARED
from .reading import explain_unreadable, read_value
from .shared import (
    BYTES,
    PLACE_BYTES,
    TABLE_PART,
    TENSOR_PART,
    TEXT,
    OutOfPlace,
    Shared,
    peek_place,
)
from .tables import decode_table
from .tensors import decode_tensor
from .values import decode_extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_REFERENCE = struct.Struct(">BQQ")


def decode_lent(
    frame: memoryview | bytes,
    max_items: int,
    decode: Callable[[int, bytes], Any] = decode_extension,
) -> tuple[Any, tuple[int, int, int]]:
    """The fields of a message that begins with a place, references in it as ``Shared``; and the place.

    Args:
        frame: The bytes of it.
        max_items: So many lists and maps may be in it.
        decode: Makes the values of other extensions.

    Raises:
        OutOfPlace: It does not begin with a place.
        RemoteProtocolError: It is malformed.
    """
    place = peek_place(frame)
    if place is None:
        raise OutOfPlace
    message = memoryview(frame)[PLACE_BYTES:]

    def extension(code: int, payload: bytes) -> Any:
        return read_reference(payload, place[2]) if code == SHARED else decode(code, payload)

    try:
        try:
            return read_value(message, max_items, decode=extension), place
        except UnicodeDecodeError:
            from .mixed_text import decode_mixed

            return decode_mixed(message, max_items, extension), place
    except Exception as error:
        raise explain_unreadable(error) from None


def read_reference(payload: bytes, size: int) -> Shared:
    """The reference in the payload of an extension, into a place of so many bytes.

    Raises:
        RemoteProtocolError: It is malformed, or leads out of the place.
    """
    if len(payload) < _REFERENCE.size:
        raise RemoteProtocolError("a reference into shared memory is cut off")
    kind, offset, length = _REFERENCE.unpack_from(payload)
    if offset + length > size:
        raise RemoteProtocolError(
            f"a reference to {length} bytes at {offset} in a place of {size} bytes"
        )
    if kind not in (BYTES, TEXT, TENSOR_PART, TABLE_PART):
        raise RemoteProtocolError(f"a reference into shared memory of the unknown kind {kind}")
    return Shared(kind, offset, length, payload[_REFERENCE.size :])


def decode_shared(
    shared: Shared,
    copy: Callable[[int, int], bytes],
    view: Callable[[int, int], memoryview | bytes],
) -> Any:
    """The value for which a reference stands.

    Args:
        shared: The reference.
        copy: Copies some bytes of its place, by offset and length.
        view: The same where they are, as long as somebody needs them.

    Raises:
        RemoteProtocolError: The value is malformed, or a package is missing.
    """
    if shared.kind == BYTES:
        return copy(shared.offset, shared.length)
    if shared.kind == TEXT:
        data = copy(shared.offset, shared.length)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data  # as all text that is none
    elements = view(shared.offset, shared.length)
    if shared.kind == TABLE_PART:
        return decode_table(elements)
    return decode_tensor(shared.head, elements)
