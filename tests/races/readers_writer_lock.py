"""A tool that writes holds the lock only for reading, together with all who read."""

import threading
from contextlib import contextmanager

from bridge import ThreadSafeAdapter, tool

EXPECTED = "prices"


class ReadersWriterLock:
    def __init__(self):
        self._idle = threading.Condition()
        self._readers = 0

    @contextmanager
    def reading(self):
        with self._idle:
            self._readers += 1
        try:
            yield
        finally:
            with self._idle:
                self._readers -= 1
                self._idle.notify_all()

    @contextmanager
    def writing(self):
        with self._idle:
            self._idle.wait_for(lambda: not self._readers)
            yield


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = ReadersWriterLock()
        self.prices = {"tea": 2, "cake": 4}

    @tool(examples=[["tea"]])
    def raise_price(self, article):
        with self.lock.reading():
            self.prices[article] += 1

    @tool(examples=[[]])
    def dearest(self):
        with self.lock.reading():
            return max(self.prices.values())


class Mended(ThreadSafeAdapter):
    """It holds the lock for writing, which waits until nobody reads."""

    def setup(self):
        self.lock = ReadersWriterLock()
        self.prices = {"tea": 2, "cake": 4}

    @tool(examples=[["tea"]])
    def raise_price(self, article):
        with self.lock.writing():
            self.prices[article] += 1

    @tool(examples=[[]])
    def dearest(self):
        with self.lock.reading():
            return max(self.prices.values())
