"""Comparing `items()` with others reads all of a dict."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = {0: 5, 1: 5}

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        return self.stock.items() == {(0, 5), (1, 5)}


class Mended(ThreadSafeAdapter):
    """The comparison is made under the lock."""

    def setup(self):
        self.stock = {0: 5, 1: 5}

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.acquire_lock():
            return self.stock.items() == {(0, 5), (1, 5)}
