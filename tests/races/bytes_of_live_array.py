"""The bytes of an array are taken in the midst of a move."""

from array import array

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = array("b", [5, 5])

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        return sum(self.stock.tobytes())


class Mended(ThreadSafeAdapter):
    """The bytes are taken under the lock."""

    def setup(self):
        self.stock = array("b", [5, 5])

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.acquire_lock():
            return sum(self.stock.tobytes())
