"""A semaphore of two lets two threads in at once: as a lock for a count it is one too many."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "parked"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.gate = threading.Semaphore(2)
        self.parked = 0

    @tool(examples=[[]])
    def park(self):
        with self.gate:
            self.parked += 1
            return self.parked


class Mended(ThreadSafeAdapter):
    """A semaphore of one is a lock."""

    def setup(self):
        self.gate = threading.BoundedSemaphore(1)
        self.parked = 0

    @tool(examples=[[]])
    def park(self):
        with self.gate:
            self.parked += 1
            return self.parked
