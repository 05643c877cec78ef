"""A text made of a dict in the midst of a move says what never was."""

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
        return f"we have {self.stock}"


class Mended(ThreadSafeAdapter):
    """The text is made under the lock."""

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
            return f"we have {self.stock}"
