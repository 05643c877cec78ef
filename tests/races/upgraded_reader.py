"""What was read under the lock of readers is out of date when that of writers is there."""

import threading
from contextlib import contextmanager

from bridge import ThreadSafeAdapter, tool

EXPECTED = "seats"
SOURCE = "https://github.com/elarivie/pyReaderWriterLock/issues/12"


class SharedLock:
    """Many readers, or one writer."""

    def __init__(self):
        self.change = threading.Condition()
        self.readers = 0

    @contextmanager
    def reading(self):
        with self.change:
            self.readers += 1
        yield
        with self.change:
            self.readers -= 1
            self.change.notify_all()

    @contextmanager
    def writing(self):
        with self.change:
            self.change.wait_for(lambda: self.readers == 0)
            yield


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = SharedLock()
        self.seats = {}

    @tool(examples=[["stalls"]])
    def sell(self, row):
        with self.lock.reading():
            sold = self.seats.get(row, 0)
        with self.lock.writing():
            self.seats[row] = sold + 1


class Mended(ThreadSafeAdapter):
    """What is written depends on what is read under the lock of writers."""

    def setup(self):
        self.lock = SharedLock()
        self.seats = {}

    @tool(examples=[["stalls"]])
    def sell(self, row):
        with self.lock.writing():
            self.seats[row] = self.seats.get(row, 0) + 1
