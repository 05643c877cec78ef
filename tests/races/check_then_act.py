"""Two threads both see that the money suffices and both take it: the account is overdrawn."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "balance"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.balance = 100

    @tool(examples=[[30]])
    def withdraw(self, amount):
        if self.balance < amount:
            return False
        self.balance -= amount
        return True


class Mended(ThreadSafeAdapter):
    """The check and the withdrawal are under one lock."""

    def setup(self):
        self.balance = 100

    @tool(examples=[[30]])
    def withdraw(self, amount):
        with self.acquire_lock():
            if self.balance < amount:
                return False
            self.balance -= amount
            return True
