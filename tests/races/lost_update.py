"""Two threads read the same number and each writes it back plus one: a vote is lost."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "votes"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.votes = 0

    @tool(examples=[[]])
    def vote(self):
        self.votes += 1
        return self.votes


class Mended(ThreadSafeAdapter):
    """Reading and writing happen under the adapter's lock."""

    def setup(self):
        self.votes = 0

    @tool(examples=[[]])
    def vote(self):
        with self.acquire_lock():
            self.votes += 1
            return self.votes
