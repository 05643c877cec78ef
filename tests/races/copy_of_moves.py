"""Copying a dict is atomic, moving goods is not: the copy has half of a move."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"
SOURCE = "https://github.com/mholzi/beatify/issues/1762"


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
        return dict(self.stock)


class Mended(ThreadSafeAdapter):
    """The copy is made under the lock under which goods are moved."""

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
            return dict(self.stock)
