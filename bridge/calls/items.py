"""The items of a streaming tool, one by one to the peer of its call."""

from __future__ import annotations

from ..errors import EncodeError
from .failures import unencodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .interfaces import Sink


def send_items(
    tool: str,
    check: Callable[[], object],
    open_stream: Callable[[], Sink],
    items: Iterator[Any],
    advance: Callable[[Iterator[Any]], Any],
) -> Any:
    """Send the items of a call as they come, while the peer takes some. On the thread of its tool.

    Args:
        tool: its name.
        check: raises if nobody awaits the call any more.
        open_stream: where the items go.
        items: what the tool returned.
        advance: takes the next one, as ``next`` does.

    Returns:
        What the generator returned.

    Raises:
        CallError: nobody awaits the call any more, or an item cannot be encoded; or whatever the
            tool raises.
    """
    check()
    sink = open_stream()
    while True:
        sink.wait()
        check()
        try:
            item = advance(items)
        except StopIteration as stop:
            return stop.value
        check()
        try:
            sink.send(item)
        except EncodeError as error:
            raise unencodable(tool, error) from None
