"""Who moves goods takes part as a reader, and readers do not exclude each other."""

import threading
from contextlib import contextmanager

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class SharedLock:
    """Many readers, or one writer: the first reader locks writers out, the last one lets them in."""

    def __init__(self):
        self.counting = threading.Lock()
        self.room = threading.Lock()
        self.readers = 0

    @contextmanager
    def reading(self):
        with self.counting:
            self.readers += 1
            if self.readers == 1:
                self.room.acquire()
        yield
        with self.counting:
            self.readers -= 1
            if self.readers == 0:
                self.room.release()


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = SharedLock()
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.lock.reading():
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.lock.reading():
            return sum(self.stock)


class Mended(ThreadSafeAdapter):
    """Who moves goods takes the lock that excludes all readers."""

    def setup(self):
        self.lock = SharedLock()
        self.stock = [5, 5]

    @tool(examples=[[0, 1], [1, 0]])
    def move(self, source, target):
        with self.lock.room:
            self.stock[source] -= 1
            self.stock[target] += 1

    @tool(examples=[[]])
    def total(self):
        with self.lock.reading():
            return sum(self.stock)
