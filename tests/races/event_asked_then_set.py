"""Two calls both find the event not set, set it, and both believe that they were the first."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "started"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.started = threading.Event()

    @tool(examples=[[]])
    def start(self):
        if self.started.is_set():
            return "running"
        self.started.set()
        return "started"


class Mended(ThreadSafeAdapter):
    """Asking and setting are one step under the lock."""

    def setup(self):
        self.started = threading.Event()

    @tool(examples=[[]])
    def start(self):
        with self.acquire_lock():
            if self.started.is_set():
                return "running"
            self.started.set()
        return "started"
