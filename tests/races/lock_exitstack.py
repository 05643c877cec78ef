"""The stack gives back both locks at the end of its block, one line before the second write."""

import threading
from contextlib import ExitStack

from bridge import ThreadSafeAdapter, tool

EXPECTED = "amounts"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.amounts = {"ann": 100, "bob": 100}
        self.locks = {name: threading.Lock() for name in self.amounts}

    @tool(examples=[["ann", "bob", 5], ["bob", "ann", 3]])
    def transfer(self, source, target, amount):
        with ExitStack() as stack:
            for name in sorted({source, target}):
                stack.enter_context(self.locks[name])
            self.amounts[source] -= amount
        self.amounts[target] += amount


class Mended(ThreadSafeAdapter):
    """Both writes are inside of the block that holds both locks."""

    def setup(self):
        self.amounts = {"ann": 100, "bob": 100}
        self.locks = {name: threading.Lock() for name in self.amounts}

    @tool(examples=[["ann", "bob", 5], ["bob", "ann", 3]])
    def transfer(self, source, target, amount):
        with ExitStack() as stack:
            for name in sorted({source, target}):
                stack.enter_context(self.locks[name])
            self.amounts[source] -= amount
            self.amounts[target] += amount
