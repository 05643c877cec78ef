"""The locks of two accounts are taken as they are named: two transfers may name them crosswise."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "in the same order"
DEADLOCKS = True


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.locks = {"a": threading.Lock(), "b": threading.Lock()}
        self.done = 0

    @tool(examples=[["a", "b"], ["b", "a"]])
    def transfer(self, source, target):
        with self.locks[source], self.locks[target]:
            return f"{source} to {target}"


class Mended(ThreadSafeAdapter):
    """They are taken in the order of their names."""

    def setup(self):
        self.locks = {"a": threading.Lock(), "b": threading.Lock()}
        self.done = 0

    @tool(examples=[["a", "b"], ["b", "a"]])
    def transfer(self, source, target):
        first, second = sorted([source, target])
        with self.locks[first], self.locks[second]:
            return f"{source} to {target}"
