"""`asdict` reads field after field of an object that all calls change."""

import dataclasses

from bridge import ThreadSafeAdapter, tool

EXPECTED = "account"


@dataclasses.dataclass
class Account:
    giro: int = 50
    savings: int = 50


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.account = Account()

    @tool(examples=[[1], [5]])
    def save(self, amount):
        with self.acquire_lock():
            self.account.giro -= amount
            self.account.savings += amount

    @tool(examples=[[]])
    def statement(self):
        return dataclasses.asdict(self.account)


class Mended(ThreadSafeAdapter):
    """The dict is made under the lock."""

    def setup(self):
        self.account = Account()

    @tool(examples=[[1], [5]])
    def save(self, amount):
        with self.acquire_lock():
            self.account.giro -= amount
            self.account.savings += amount

    @tool(examples=[[]])
    def statement(self):
        with self.acquire_lock():
            return dataclasses.asdict(self.account)
