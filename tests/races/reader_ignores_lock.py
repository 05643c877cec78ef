"""Who writes waits for readers, and this reader does not say that it reads."""

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

    @tool(examples=[["tea", "cake"]])
    def swap(self, one, other):
        with self.lock.writing():
            self.prices[one] += 1
            self.prices[other] -= 1

    @tool(examples=[[]])
    def total(self):
        return sum(self.prices.values())


class Mended(ThreadSafeAdapter):
    """It says that it reads, for as long as it does."""

    def setup(self):
        self.lock = ReadersWriterLock()
        self.prices = {"tea": 2, "cake": 4}

    @tool(examples=[["tea", "cake"]])
    def swap(self, one, other):
        with self.lock.writing():
            self.prices[one] += 1
            self.prices[other] -= 1

    @tool(examples=[[]])
    def total(self):
        with self.lock.reading():
            return sum(self.prices.values())
