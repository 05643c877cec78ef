"""The stripe is chosen by customer, the stock by article: two customers write to one item."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "stock"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.stripes = [threading.Lock() for _ in range(4)]
        self.stock = dict.fromkeys(range(8), 100)

    @tool(examples=[[1, 3], [2, 3], [3, 7]])
    def order(self, customer, article):
        with self.stripes[customer % 4]:
            self.stock[article] -= 1
            return self.stock[article]


class Mended(ThreadSafeAdapter):
    """The stripe follows from the article, so that each item has one lock, if a shared one."""

    def setup(self):
        self.stripes = [threading.Lock() for _ in range(4)]
        self.stock = dict.fromkeys(range(8), 100)

    @tool(examples=[[1, 3], [2, 3], [3, 7]])
    def order(self, customer, article):
        with self.stripes[article % 4]:
            self.stock[article] -= 1
            return self.stock[article]
