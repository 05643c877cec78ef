"""A lock for the outer dict does not help when the inner one is changed after it is released."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "errors"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stats = {}

    @tool(examples=[["ann"], ["bob"]])
    def fail(self, user):
        with self.acquire_lock():
            stats = self.stats.setdefault(user, {"errors": 0})
        stats["errors"] += 1
        return stats["errors"]


class Mended(ThreadSafeAdapter):
    """The lock is held until the inner dict is up to date."""

    def setup(self):
        self.stats = {}

    @tool(examples=[["ann"], ["bob"]])
    def fail(self, user):
        with self.acquire_lock():
            stats = self.stats.setdefault(user, {"errors": 0})
            stats["errors"] += 1
            return stats["errors"]
