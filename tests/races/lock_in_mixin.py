"""The mixin's `remember` expects its caller to hold the lock, and this caller does not."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "last_answer"


class MemoryMixin:
    def setup(self):
        super().setup()
        self.lock = threading.Lock()
        self.last_answer = None
        self.answers = 0

    def remember(self, answer):
        """Call it with the lock held."""
        self.last_answer = answer
        self.answers += 1
        return self.answers


class Broken(MemoryMixin, ThreadSafeAdapter):
    @tool(examples=[[6, 7], [2, 3]])
    def multiply(self, a, b):
        return self.remember(a * b)


class Mended(MemoryMixin, ThreadSafeAdapter):
    """The caller holds the lock of the mixin around the whole `remember`."""

    @tool(examples=[[6, 7], [2, 3]])
    def multiply(self, a, b):
        with self.lock:
            return self.remember(a * b)
