"""The items of a stream in the way of Snakepit, up to one that says that it is the last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_chunk(item: Any) -> bool:
    """Whether an item is Snakepit's ``StreamChunk``, or of a class like it."""
    return hasattr(item, "is_final") and hasattr(item, "data")


def is_final(item: Any) -> bool:
    """Whether an item is the last one of its stream, and says so."""
    return is_chunk(item) and bool(item.is_final)


class Items(Iterator[object]):
    """The items of an iterator, until one is final.

    No generator: one that was never begun would not notice that it is closed.

    Args:
        items: where they come from; closed at the end, if that can be.
        ended: called once, when there are no more or nobody wants them.
    """

    def __init__(self, items: Any, ended: Callable[[], object]) -> None:
        self._items: Iterator[Any] | None = iter(items)
        self._ended = ended

    def __next__(self) -> Any:
        if self._items is None:
            raise StopIteration
        try:
            item = next(self._items)
        except BaseException:
            self.close()
            raise
        if is_final(item):
            self.close()
        return item

    def close(self) -> None:
        """Want no more items."""
        items, self._items = self._items, None
        if items is None:
            return
        try:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        finally:
            self._ended()


class AsyncItems(AsyncIterator[object]):
    """``Items`` of an asynchronous iterator."""

    def __init__(self, items: Any, ended: Callable[[], object]) -> None:
        self._items: Any = aiter(items)
        self._ended = ended

    async def __anext__(self) -> Any:
        if self._items is None:
            raise StopAsyncIteration
        try:
            item = await anext(self._items)
        except BaseException:
            await self.aclose()
            raise
        if is_final(item):
            await self.aclose()
        return item

    def __del__(self) -> None:
        if self._items is not None:
            self._ended()  # it was never begun

    async def aclose(self) -> None:
        """Want no more items."""
        items, self._items = self._items, None
        if items is None:
            return
        try:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._ended()
