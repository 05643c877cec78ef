"""Freeing takes the lock of the cache and then that of its owner, filling the other way round."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "in the same order"
DEADLOCKS = True
SOURCE = "https://github.com/ilastik/lazyflow/issues/79"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.owner, self.cache = threading.RLock(), threading.RLock()
        self.kept = 0

    def allocate(self):
        with self.cache:
            self.kept += 1

    @tool(examples=[[]])
    def fill(self):
        with self.owner:
            self.allocate()

    @tool(examples=[[]])
    def free(self):
        with self.cache, self.owner:
            self.kept = 0


class Mended(ThreadSafeAdapter):
    """Whoever needs both takes that of the owner first."""

    def setup(self):
        self.owner, self.cache = threading.RLock(), threading.RLock()
        self.kept = 0

    def allocate(self):
        with self.cache:
            self.kept += 1

    @tool(examples=[[]])
    def fill(self):
        with self.owner:
            self.allocate()

    @tool(examples=[[]])
    def free(self):
        with self.owner, self.cache:
            self.kept = 0
