"""Async tools take turns on one loop, but the other tools run on workers beside it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "online"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.online = 0

    @tool(examples=[[]])
    async def arrive(self):
        self.online += 1

    @tool(examples=[[]])
    def leave(self):
        self.online -= 1


class Mended(ThreadSafeAdapter):
    """Both take a lock of threads, which is held for a moment and never across an `await`."""

    def setup(self):
        self.lock = threading.Lock()
        self.online = 0

    @tool(examples=[[]])
    async def arrive(self):
        with self.lock:
            self.online += 1

    @tool(examples=[[]])
    def leave(self):
        with self.lock:
            self.online -= 1
