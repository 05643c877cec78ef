"""`globals()` is the module seen as a dict: counting in it is counting in a shared variable."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "searches"

searches = clicks = 0
lock = threading.Lock()


class Broken(ThreadSafeAdapter):
    @tool(examples=[["searches"], ["clicks"]])
    def track(self, action):
        globals()[action] += 1


class Mended(ThreadSafeAdapter):
    """A lock of the module is held around the update."""

    @tool(examples=[["searches"], ["clicks"]])
    def track(self, action):
        with lock:
            globals()[action] += 1
