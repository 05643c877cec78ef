"""The list of handlers is changed under a lock, but whether one is there is asked before it."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "writers"
SOURCE = "https://github.com/NousResearch/hermes-agent/issues/100261"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.writers = []

    @tool(examples=[["a.log"], ["b.log"]])
    def register(self, path):
        known = path in self.writers
        if not known:
            with self.acquire_lock():
                self.writers.append(path)


class Mended(ThreadSafeAdapter):
    """The question is asked under the lock as well."""

    def setup(self):
        self.writers = []

    @tool(examples=[["a.log"], ["b.log"]])
    def register(self, path):
        with self.acquire_lock():
            known = path in self.writers
            if not known:
                self.writers.append(path)
