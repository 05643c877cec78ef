"""One of the two branches leaves out the lock, because it is the one that seldom runs."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "credits"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.credits = 10

    @tool(examples=[[2], [-1]])
    def book(self, change):
        if change > 0:
            self.lock.acquire()
            try:
                self.credits += change
            finally:
                self.lock.release()
        else:
            self.credits += change


class Mended(ThreadSafeAdapter):
    """The lock is taken on both ways."""

    def setup(self):
        self.lock = threading.Lock()
        self.credits = 10

    @tool(examples=[[2], [-1]])
    def book(self, change):
        self.lock.acquire()
        try:
            self.credits += change
        finally:
            self.lock.release()
