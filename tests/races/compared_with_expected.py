"""Comparing two dicts reads all items of both."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


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
        return self.stock == {"shop": 5, "store": 5}


class Mended(ThreadSafeAdapter):
    """The comparison is made under the lock."""

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
            return self.stock == {"shop": 5, "store": 5}
