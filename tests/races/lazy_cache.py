"""Two threads miss the key and both compute; one of two different objects is thrown away."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "parsed"


def parse(pattern):
    return {"words": pattern.split(), "matches": 0}


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.parsed = {}

    @tool(examples=[["hello *"], ["* world"]])
    def words(self, pattern):
        if pattern not in self.parsed:
            self.parsed[pattern] = parse(pattern)
        return self.parsed[pattern]["words"]


class Mended(ThreadSafeAdapter):
    """Looking up and filling in are one step under the lock."""

    def setup(self):
        self.parsed = {}

    @tool(examples=[["hello *"], ["* world"]])
    def words(self, pattern):
        with self.acquire_lock():
            if pattern not in self.parsed:
                self.parsed[pattern] = parse(pattern)
            return self.parsed[pattern]["words"]
