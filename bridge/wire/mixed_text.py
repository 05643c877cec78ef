"""Text that is not UTF-8, in a message that was decoded all the same: it becomes bytes."""

from __future__ import annotations

from ..errors import RemoteProtocolError
from ..typing_names import Any
from .reading import explain_unreadable, read_value
from .values import decode_extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def decode_mixed(
    data: bytes | memoryview,
    max_items: int,
    decode: Callable[[int, bytes], Any] = decode_extension,
) -> Any:
    """The value of data in which some text is not UTF-8: that text becomes bytes, the rest stays.

    Msgpax, for one, sends every binary as text.

    Args:
        data: One value.
        max_items: So many lists and maps may be in it.
        decode: Makes the values of extensions.

    Raises:
        RemoteProtocolError: It is malformed, or would cost too much.
    """
    try:
        return restore_bytes(read_value(data, max_items, "surrogateescape", decode))
    except Exception as error:
        raise explain_unreadable(error) from None


def restore_bytes(value: Any) -> Any:
    """Texts with surrogate escapes back to the bytes that they were, in place."""
    outermost = [value]
    todo: list[Any] = [outermost]
    while todo:  # not by recursion: a message may be nested deeper than that goes
        container = todo.pop()
        if type(container) is dict:
            pairs = [(_restore_text(key), item) for key, item in container.items()]
            container.clear()
            container.update(pairs)
            if len(container) < len(pairs):
                raise RemoteProtocolError("a map has a key twice, as text and as bytes")
            places: Any = container
        else:
            places = range(len(container))
        for place in places:
            item = container[place]
            if type(item) is str:
                container[place] = _restore_text(item)
            elif type(item) is list or type(item) is dict:
                todo.append(item)
    return outermost[0]


def _restore_text(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape")
    return value
