"""The lock guards only the way to the list: the list itself is returned and used without it."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "queue"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.queue = []

    def _waiting(self):
        with self.acquire_lock():
            return self.queue

    @tool(examples=[["ann"], ["bob"]])
    def join(self, name):
        with self.acquire_lock():
            self.queue.insert(0, name)

    @tool(examples=[[]])
    def names(self):
        return [name.title() for name in self._waiting()]


class Mended(ThreadSafeAdapter):
    """What leaves the lock is a copy."""

    def setup(self):
        self.queue = []

    def _waiting(self):
        with self.acquire_lock():
            return self.queue.copy()

    @tool(examples=[["ann"], ["bob"]])
    def join(self, name):
        with self.acquire_lock():
            self.queue.insert(0, name)

    @tool(examples=[[]])
    def names(self):
        return [name.title() for name in self._waiting()]
