"""The loop adds up metrics one by one, and a call moves from one to the next between two."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"
SOURCE = "https://github.com/elastic/apm-agent-python/pull/802"


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
        total = 0
        for count in self.stock.values():
            total += count
        return total


class Mended(ThreadSafeAdapter):
    """The loop is under the lock."""

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
            total = 0
            for count in self.stock.values():
                total += count
            return total
