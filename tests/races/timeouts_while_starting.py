"""The watcher walks through the starting times while workers add theirs."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "begun"
SOURCE = "https://github.com/boxed/mutmut/issues/410"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.begun = {}

    @tool(examples=[[1], [2]])
    def start(self, pid):
        self.begun[pid] = 0
        self.begun[pid + len(self.begun)] = 0

    @tool(examples=[[]])
    def overdue(self):
        return sum(1 for pid, begun in self.begun.items() if begun > 1)


class Mended(ThreadSafeAdapter):
    """Both hold one lock."""

    def setup(self):
        self.begun = {}

    @tool(examples=[[1], [2]])
    def start(self, pid):
        with self.acquire_lock():
            self.begun[pid] = 0
            self.begun[pid + len(self.begun)] = 0

    @tool(examples=[[]])
    def overdue(self):
        with self.acquire_lock():
            return sum(1 for pid, begun in self.begun.items() if begun > 1)
