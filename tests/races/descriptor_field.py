"""A descriptor keeps its value in the instance: `-=` through it is still a read and a write."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class NotNegative:
    def __set_name__(self, owner, name):
        self.key = "_" + name

    def __get__(self, instance, owner):
        return getattr(instance, self.key)

    def __set__(self, instance, value):
        setattr(instance, self.key, max(0, value))


class Broken(ThreadSafeAdapter):
    stock = NotNegative()

    def setup(self):
        self.stock = 1000

    @tool(examples=[[1], [2]])
    def sell(self, amount):
        self.stock -= amount
        return self.stock


class Mended(ThreadSafeAdapter):
    """A lock spans the read and the write that the descriptor makes."""

    stock = NotNegative()

    def setup(self):
        self.stock = 1000

    @tool(examples=[[1], [2]])
    def sell(self, amount):
        with self.acquire_lock():
            self.stock -= amount
            return self.stock
