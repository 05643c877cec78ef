"""The base class guards its balance with a lock; a subclass adds a tool that does not know it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "balance"


class Wallet(ThreadSafeAdapter):
    def __init__(self):
        self._lock = threading.Lock()
        self.balance = 0

    @tool(examples=[[10]])
    def pay_in(self, amount):
        with self._lock:
            self.balance += amount
            return self.balance


class Broken(Wallet):
    @tool(examples=[[5]])
    def add_bonus(self, percent):
        self.balance += self.balance * percent // 100
        return self.balance


class Mended(Wallet):
    """The new tool takes the lock of the base class as well."""

    @tool(examples=[[5]])
    def add_bonus(self, percent):
        with self._lock:
            self.balance += self.balance * percent // 100
            return self.balance
