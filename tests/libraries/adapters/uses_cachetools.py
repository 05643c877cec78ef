"""A cache without a lock, or with one."""

import threading

import cachetools

from bridge import ThreadSafeAdapter, tool

FOUND = "cache"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.cache = cachetools.TTLCache(8, 60)

    @tool(examples=[[1], [2]])
    def square(self, n: int) -> int:
        found = self.cache.get(n)
        if found is None:
            found = self.cache[n] = n * n
        return found


class Right(ThreadSafeAdapter):
    def setup(self):
        self.cache = cachetools.TTLCache(8, 60)
        self.lock = threading.Lock()

    @tool(examples=[[1], [2]])
    def square(self, n: int) -> int:
        with self.lock:
            found = self.cache.get(n)
        if found is None:
            found = n * n
            with self.lock:
                self.cache[n] = found
        return found
