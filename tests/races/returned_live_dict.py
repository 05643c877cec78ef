"""The dict itself is returned: it is encoded later, while other calls change it."""

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
        return self.stock


class Mended(ThreadSafeAdapter):
    """A copy is returned, made under the lock."""

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
