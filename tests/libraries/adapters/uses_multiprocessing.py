"""Work is done by processes, spawned or of a forkserver; what they return is added up, or only returned."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from bridge import ThreadSafeAdapter, tool

FOUND = "total"
STARTED = [["spawn", [1, -2, 3]], ["forkserver", [4, -5, 6]]]


class Pools(ThreadSafeAdapter):
    def setup(self):
        self.total = 0
        self.pools = {
            how: ProcessPoolExecutor(1, multiprocessing.get_context(how))
            for how in ("spawn", "forkserver")
        }

    def close(self):
        for pool in self.pools.values():
            pool.shutdown()


class Wrong(Pools):
    @tool(examples=STARTED)
    def add(self, started: str, numbers: list[int]) -> None:
        self.total += sum(self.pools[started].map(abs, numbers))


class Right(Pools):
    @tool(examples=STARTED)
    def add(self, started: str, numbers: list[int]) -> int:
        return sum(self.pools[started].map(abs, numbers))

    @tool(examples=STARTED)
    def apply(self, started: str, numbers: list[int]) -> list[int]:
        with multiprocessing.get_context(started).Pool(1) as pool:
            return pool.map(abs, numbers)
