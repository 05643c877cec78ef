"""Work that is handed out writes a total, or returns its part of it."""

from concurrent.futures import ThreadPoolExecutor

from bridge import ThreadSafeAdapter, tool

FOUND = "total"


class Pooled(ThreadSafeAdapter):
    def setup(self):
        self.total = 0
        self.pool = ThreadPoolExecutor(4)

    def close(self):
        self.pool.shutdown()


class Wrong(Pooled):
    def _add(self, n):
        self.total += n

    @tool(examples=[[[1, 2, 3]]])
    def add(self, numbers: list[int]) -> None:
        for future in [self.pool.submit(self._add, n) for n in numbers]:
            future.result()


class Right(Pooled):
    @tool(examples=[[[1, 2, 3]]])
    def add(self, numbers: list[int]) -> int:
        return sum(self.pool.map(abs, numbers))
