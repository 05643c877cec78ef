"""Two first records both find the worker not started, and start it."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "started"
SOURCE = "https://github.com/LogentriesCommunity/le_python/pull/10"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.worker = threading.Event()
        self.started = False

    @tool(examples=[["hello"]])
    def emit(self, record):
        if not self.started:
            self.started = True
            self.worker.set()
        return record


class Mended(ThreadSafeAdapter):
    """Asking and starting are one step."""

    def setup(self):
        self.worker = threading.Event()
        self.started = False

    @tool(examples=[["hello"]])
    def emit(self, record):
        with self.acquire_lock():
            if not self.started:
                self.started = True
                self.worker.set()
        return record
