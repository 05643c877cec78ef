"""Another thread rotates between the rotation and the look: a server is used twice or never."""

from collections import deque

from bridge import ThreadSafeAdapter, tool

EXPECTED = "servers"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.servers = deque(["alpha", "beta", "gamma"])

    @tool(examples=[[]])
    def next_server(self):
        self.servers.rotate(-1)
        return self.servers[0]


class Mended(ThreadSafeAdapter):
    """Rotation and look are one step under the lock."""

    def setup(self):
        self.servers = deque(["alpha", "beta", "gamma"])

    @tool(examples=[[]])
    def next_server(self):
        with self.acquire_lock():
            self.servers.rotate(-1)
            return self.servers[0]
