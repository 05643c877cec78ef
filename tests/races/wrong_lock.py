"""Deposits and withdrawals each take a lock, but not the same one, so they do not exclude."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "balance"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.deposits, self.withdrawals = threading.Lock(), threading.Lock()
        self.balance = 100

    @tool(examples=[[20]])
    def deposit(self, amount):
        with self.deposits:
            self.balance += amount

    @tool(examples=[[10]])
    def withdraw(self, amount):
        with self.withdrawals:
            self.balance -= amount


class Mended(ThreadSafeAdapter):
    """One lock belongs to the balance, whatever is done to it."""

    def setup(self):
        self.balance_lock = threading.Lock()
        self.balance = 100

    @tool(examples=[[20]])
    def deposit(self, amount):
        with self.balance_lock:
            self.balance += amount

    @tool(examples=[[10]])
    def withdraw(self, amount):
        with self.balance_lock:
            self.balance -= amount
