"""A new key during the loop ends it: `dictionary changed size during iteration`."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "prices"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.prices = {"apple": 3, "pear": 4}

    @tool(examples=[["fig", 9], ["kiwi", 2]])
    def offer(self, fruit, price):
        self.prices[fruit] = price

    @tool(examples=[[4]])
    def affordable(self, limit):
        return [fruit for fruit, price in self.prices.items() if price <= limit]


class Mended(ThreadSafeAdapter):
    """The reader copies under the lock and loops over its copy outside of it."""

    def setup(self):
        self.prices = {"apple": 3, "pear": 4}

    @tool(examples=[["fig", 9], ["kiwi", 2]])
    def offer(self, fruit, price):
        with self.acquire_lock():
            self.prices[fruit] = price

    @tool(examples=[[4]])
    def affordable(self, limit):
        with self.acquire_lock():
            prices = dict(self.prices)
        return [fruit for fruit, price in prices.items() if price <= limit]
