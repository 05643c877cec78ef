"""A `UserDict` is Python code around a dict, so `+=` on an item is two calls with a gap."""

from collections import UserDict

from bridge import ThreadSafeAdapter, tool

EXPECTED = "basket"


class Basket(UserDict):
    def __missing__(self, article):
        return 0


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.basket = Basket()

    @tool(examples=[["egg", 6], ["milk", 1]])
    def add(self, article, number):
        self.basket[article] += number
        return self.basket[article]


class Mended(ThreadSafeAdapter):
    """The lock is held over both calls."""

    def setup(self):
        self.basket = Basket()

    @tool(examples=[["egg", 6], ["milk", 1]])
    def add(self, article, number):
        with self.acquire_lock():
            self.basket[article] += number
            return self.basket[article]
