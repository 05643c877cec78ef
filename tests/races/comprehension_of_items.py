"""A comprehension over `items()` is a loop: it sees the one side of a move and not the other."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"
SOURCE = "https://github.com/proxystore/proxystore/issues/206"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = {"shop": 5, "store": 5}

    @tool(examples=[[1], [2]])
    def move(self, count):
        with self.acquire_lock():
            self.stock["shop"] -= count
            self.stock["store"] += count

    @tool(examples=[[]])
    def look(self):
        return [f"{place}: {count}" for place, count in self.stock.items()]


class Mended(ThreadSafeAdapter):
    """The list is made under the lock."""

    def setup(self):
        self.stock = {"shop": 5, "store": 5}

    @tool(examples=[[1], [2]])
    def move(self, count):
        with self.acquire_lock():
            self.stock["shop"] -= count
            self.stock["store"] += count

    @tool(examples=[[]])
    def look(self):
        with self.acquire_lock():
            return [f"{place}: {count}" for place, count in self.stock.items()]
