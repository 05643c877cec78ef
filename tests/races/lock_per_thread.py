"""A lock in thread-local storage is another one for each thread: it excludes only its own."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "litres"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.litres = 0

    def _lock(self):
        lock = self.get_thread_local("lock")
        if lock is None:
            lock = threading.Lock()
            self.set_thread_local("lock", lock)
        return lock

    @tool(examples=[[40]])
    def refuel(self, litres):
        with self._lock():
            self.litres += litres
            return self.litres


class Mended(ThreadSafeAdapter):
    """All threads take the adapter's one lock."""

    def setup(self):
        self.litres = 0

    def _lock(self):
        return self.acquire_lock()

    @tool(examples=[[40]])
    def refuel(self, litres):
        with self._lock():
            self.litres += litres
            return self.litres
