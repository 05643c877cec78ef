"""A task lets others run between a look and the change, or holds a lock of asyncio over both."""

import asyncio

from bridge import ThreadSafeAdapter, tool

FOUND = "total"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.total = 0

    @tool(examples=[[1], [2]])
    async def add(self, n: int) -> None:
        total = self.total
        await asyncio.sleep(0)
        self.total = total + n

    @tool(examples=[[[1, 2, 3]]])
    def add_all(self, numbers: list[int]) -> None:
        async def all_of_them():
            await asyncio.gather(*(asyncio.to_thread(self._add, n) for n in numbers))

        asyncio.run(all_of_them())

    def _add(self, n):
        self.total += n


class Right(ThreadSafeAdapter):
    def setup(self):
        self.total = 0
        self.lock = asyncio.Lock()

    @tool(examples=[[1], [2]])
    async def add(self, n: int) -> None:
        async with self.lock:
            total = self.total
            await asyncio.sleep(0)
            self.total = total + n

    @tool(examples=[[[1, 2, 3]]])
    def sizes(self, numbers: list[int]) -> int:
        async def all_of_them():
            return await asyncio.gather(*(asyncio.to_thread(abs, n) for n in numbers))

        return sum(asyncio.run(all_of_them()))
