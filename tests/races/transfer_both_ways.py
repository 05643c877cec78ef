"""One call takes the account first and the ledger second, the other the ledger first."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "in the same order"
DEADLOCKS = True


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.account, self.ledger = threading.Lock(), threading.Lock()
        self.entries = 0

    @tool(examples=[[]])
    def pay(self):
        with self.account, self.ledger:
            self.entries += 1

    @tool(examples=[[]])
    def audit(self):
        with self.ledger, self.account:
            return self.entries >= 0


class Mended(ThreadSafeAdapter):
    """Both take the account first."""

    def setup(self):
        self.account, self.ledger = threading.Lock(), threading.Lock()
        self.entries = 0

    @tool(examples=[[]])
    def pay(self):
        with self.account, self.ledger:
            self.entries += 1

    @tool(examples=[[]])
    def audit(self):
        with self.account, self.ledger:
            return self.entries >= 0
