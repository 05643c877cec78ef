"""`__next__` of an iterator written in Python is ordinary code: two calls get the same worker."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "turn"


class RoundRobin:
    def __init__(self, *workers):
        self.workers = workers
        self.turn = 0

    def __iter__(self):
        return self

    def __next__(self):
        worker = self.workers[self.turn]
        self.turn = (self.turn + 1) % len(self.workers)
        return worker


class LockedRoundRobin(RoundRobin):
    def __init__(self, *workers):
        super().__init__(*workers)
        self.lock = threading.Lock()

    def __next__(self):
        with self.lock:
            return super().__next__()


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.workers = RoundRobin("ann", "bob", "cid")

    @tool(examples=[["dishes"]])
    def assign(self, chore):
        return f"{next(self.workers)}: {chore}"


class Mended(ThreadSafeAdapter):
    """The iterator takes its lock in `__next__`."""

    def setup(self):
        self.workers = LockedRoundRobin("ann", "bob", "cid")

    @tool(examples=[["dishes"]])
    def assign(self, chore):
        return f"{next(self.workers)}: {chore}"
