"""The flag is looked at under the lock, and the dict is filled after it was given back."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "links"
SOURCE = "https://github.com/scylladb/python-driver/pull/112"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.links = {"a": 1}
        self.closed = False

    @tool(examples=[["b"], ["c"]])
    def connect(self, host):
        with self.acquire_lock():
            if self.closed:
                return False
        self.links[host] = 1
        return True

    @tool(examples=[[]])
    def count(self):
        with self.acquire_lock():
            return max(len(host) for host in self.links) > 0


class Mended(ThreadSafeAdapter):
    """What the flag allows is done under the same lock."""

    def setup(self):
        self.links = {"a": 1}
        self.closed = False

    @tool(examples=[["b"], ["c"]])
    def connect(self, host):
        with self.acquire_lock():
            if self.closed:
                return False
            self.links[host] = 1
            return True

    @tool(examples=[[]])
    def count(self):
        with self.acquire_lock():
            return max(len(host) for host in self.links) > 0
