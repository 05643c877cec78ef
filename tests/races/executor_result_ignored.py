"""The sums are read as soon as the work is submitted, not when it is done."""

from concurrent.futures import ThreadPoolExecutor

from bridge import ThreadSafeAdapter, tool

EXPECTED = "sums"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.pool = ThreadPoolExecutor(2)

    @tool(examples=[[{"ann": [1, 2], "bob": [3]}]])
    def totals(self, orders):
        sums = {}

        def add_up(name):
            sums[name] = sum(orders[name])

        for name in orders:
            self.pool.submit(add_up, name)
        return [sums.get(name) for name in orders]

    def close(self):
        self.pool.shutdown()


class Mended(ThreadSafeAdapter):
    """`result()` of each future waits for its work and hands over what it wrote."""

    def setup(self):
        self.pool = ThreadPoolExecutor(2)

    @tool(examples=[[{"ann": [1, 2], "bob": [3]}]])
    def totals(self, orders):
        sums = {}

        def add_up(name):
            sums[name] = sum(orders[name])

        for future in [self.pool.submit(add_up, name) for name in orders]:
            future.result()
        return [sums.get(name) for name in orders]

    def close(self):
        self.pool.shutdown()
