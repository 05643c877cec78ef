"""The events of one call on their way to whoever awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .interfaces import Event


class Inbox(AsyncIterator[Event]):
    """Events, or the exception that comes in their place. On the thread of the loop.

    Unlike a generator it goes on after whoever awaited an event was cancelled.

    Args:
        limit: how many wait here at most, for ``arrive``; 0: any number.
    """

    def __init__(self, limit: int = 0) -> None:
        self._queue: asyncio.Queue[Event | BaseException] = asyncio.Queue(limit)

    def put(self, event: Event | BaseException) -> None:
        """Add one at once."""
        self._queue.put_nowait(event)

    async def arrive(self, event: Event) -> None:
        """Add one when there is room."""
        await self._queue.put(event)

    async def __anext__(self) -> Event:
        event = await self._queue.get()
        if isinstance(event, BaseException):
            raise event
        return event
