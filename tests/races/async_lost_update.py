"""At each `await` another call may run: what was read before it may be out of date after it."""

import asyncio

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seats"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.seats = 100

    async def _pay(self):
        await asyncio.sleep(0)

    @tool(examples=[[1], [2]])
    async def reserve(self, wanted):
        seats = self.seats
        await self._pay()
        self.seats = seats - wanted
        return self.seats


class Mended(ThreadSafeAdapter):
    """An `asyncio.Lock` is held across the `await`."""

    def setup(self):
        self.lock = asyncio.Lock()
        self.seats = 100

    async def _pay(self):
        await asyncio.sleep(0)

    @tool(examples=[[1], [2]])
    async def reserve(self, wanted):
        async with self.lock:
            seats = self.seats
            await self._pay()
            self.seats = seats - wanted
            return self.seats
