"""`+=` with a live list on its right copies it, in the midst of a move."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        seen = []
        seen += self.stock
        return sum(seen)


class Mended(ThreadSafeAdapter):
    """The copy is made under the lock."""

    def setup(self):
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.acquire_lock():
            seen = []
            seen += self.stock
            return sum(seen)
