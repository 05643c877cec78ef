"""`locked()` tells whether somebody else holds the lock, and does not take it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "backups"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.backups = 0

    @tool(examples=[[]])
    def back_up(self):
        if self.lock.locked():
            return "another one is running"
        self.backups += 1
        return "done"


class Mended(ThreadSafeAdapter):
    """`acquire` with a timeout takes it or says that it could not."""

    def setup(self):
        self.lock = threading.Lock()
        self.backups = 0

    @tool(examples=[[]])
    def back_up(self):
        if not self.lock.acquire(timeout=1):
            return "another one is running"
        try:
            self.backups += 1
        finally:
            self.lock.release()
        return "done"
