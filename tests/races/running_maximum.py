"""Two threads both beat the old record, and the one that writes last may be the slower."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "best"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.best = 0

    @tool(examples=[[12], [17], [15]])
    def submit(self, score):
        if score > self.best:
            self.best = score
        return self.best


class Mended(ThreadSafeAdapter):
    """Comparison and write are one step under the lock."""

    def setup(self):
        self.best = 0

    @tool(examples=[[12], [17], [15]])
    def submit(self, score):
        with self.acquire_lock():
            self.best = max(self.best, score)
            return self.best
