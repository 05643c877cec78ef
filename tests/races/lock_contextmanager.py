"""The context manager leaves its `with` before it yields, so the body runs without the lock."""

import threading
from contextlib import contextmanager

from bridge import ThreadSafeAdapter, tool

EXPECTED = "entries"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.entries = {"visits": 0}

    @contextmanager
    def _editing(self):
        with self.lock:
            entries = self.entries
        yield entries

    @tool(examples=[["visits"]])
    def count(self, key):
        with self._editing() as entries:
            entries[key] += 1
            return entries[key]


class Mended(ThreadSafeAdapter):
    """It yields inside of the `with`, which so encloses the body."""

    def setup(self):
        self.lock = threading.Lock()
        self.entries = {"visits": 0}

    @contextmanager
    def _editing(self):
        with self.lock:
            yield self.entries

    @tool(examples=[["visits"]])
    def count(self, key):
        with self._editing() as entries:
            entries[key] += 1
            return entries[key]
