"""Both calls find no pool for the host, and the second replaces the pool that the first uses."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pools"
SOURCE = "https://github.com/urllib3/urllib3/pull/204"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.pools = {}

    @tool(examples=[["a"], ["b"]])
    def connect(self, host):
        pool = self.pools.get(host)
        if pool is None:
            pool = []
            self.pools[host] = pool
        return len(host)


class Mended(ThreadSafeAdapter):
    """A pool is looked for and made under one lock."""

    def setup(self):
        self.pools = {}

    @tool(examples=[["a"], ["b"]])
    def connect(self, host):
        with self.acquire_lock():
            pool = self.pools.get(host)
            if pool is None:
                pool = []
                self.pools[host] = pool
        return len(host)
