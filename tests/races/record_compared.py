"""The generated `==` of a dataclass compares field by field."""

from dataclasses import dataclass

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


@dataclass
class Stock:
    here: int = 5
    there: int = 5

    names = ("here", "there")


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stock = Stock()

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            setattr(
                self.stock,
                self.stock.names[source],
                getattr(self.stock, self.stock.names[source]) - 1,
            )
            setattr(
                self.stock,
                self.stock.names[target],
                getattr(self.stock, self.stock.names[target]) + 1,
            )

    @tool(examples=[[]])
    def total(self):
        return self.stock == Stock(5, 5)


class Mended(ThreadSafeAdapter):
    """The comparison is made under the lock."""

    def setup(self):
        self.stock = Stock()

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.acquire_lock():
            setattr(
                self.stock,
                self.stock.names[source],
                getattr(self.stock, self.stock.names[source]) - 1,
            )
            setattr(
                self.stock,
                self.stock.names[target],
                getattr(self.stock, self.stock.names[target]) + 1,
            )

    @tool(examples=[[]])
    def total(self):
        with self.acquire_lock():
            return self.stock == Stock(5, 5)
