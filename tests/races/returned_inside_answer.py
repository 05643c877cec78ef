"""The answer is a dict of the call, but what it contains is what all calls change."""

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
        return {"goods": self.stock, "unit": "kg"}


class Mended(ThreadSafeAdapter):
    """A copy goes into the answer."""

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
            return {"goods": dict(self.stock), "unit": "kg"}
