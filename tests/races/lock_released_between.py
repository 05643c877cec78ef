"""Every access is locked, but the lock is let go between the check and the act upon it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "rooms"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.rooms = 10

    @tool(examples=[[1], [2]])
    def reserve(self, wanted):
        with self.lock:
            free = self.rooms
        if free < wanted:
            return False
        with self.lock:
            self.rooms = free - wanted
        return True


class Mended(ThreadSafeAdapter):
    """One stretch under the lock covers both."""

    def setup(self):
        self.lock = threading.Lock()
        self.rooms = 10

    @tool(examples=[[1], [2]])
    def reserve(self, wanted):
        with self.lock:
            if self.rooms < wanted:
                return False
            self.rooms -= wanted
        return True
