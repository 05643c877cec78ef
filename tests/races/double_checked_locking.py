"""The check is outside of the lock and not repeated inside: who waited builds a second time."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "index"


def build_index():
    return {"bridge": 1, "thread": 2}


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.lock = threading.Lock()
        self.index = None

    @tool(examples=[["bridge"], ["race"]])
    def page(self, word):
        if self.index is None:
            with self.lock:
                self.index = build_index()
        return self.index.setdefault(word, 0)


class Mended(ThreadSafeAdapter):
    """The check is repeated under the lock, so the index is built and published once."""

    def setup(self):
        self.lock = threading.Lock()
        self.index = None

    @tool(examples=[["bridge"], ["race"]])
    def page(self, word):
        if self.index is None:
            with self.lock:
                if self.index is None:
                    self.index = build_index()
        return self.index.setdefault(word, 0)
