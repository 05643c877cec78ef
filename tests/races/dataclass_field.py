"""A dataclass generates methods, not locks: two deposits at once leave the balance of one."""

import threading
from dataclasses import dataclass, field

from bridge import ThreadSafeAdapter, tool

EXPECTED = "balance"


@dataclass
class Account:
    owner: str
    balance: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.account = Account("Ada")

    @tool(examples=[[10]])
    def deposit(self, amount):
        self.account.balance += amount
        return self.account.balance


class Mended(ThreadSafeAdapter):
    """The lock that lies in the account is also taken."""

    def setup(self):
        self.account = Account("Ada")

    @tool(examples=[[10]])
    def deposit(self, amount):
        with self.account.lock:
            self.account.balance += amount
            return self.account.balance
