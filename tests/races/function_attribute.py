"""An attribute of a function is as global as the function; `+=` on it loses counts."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "rounded"


def round_price(price):
    round_price.rounded += 1
    return round(price, 1)


def round_price_locked(price):
    with round_price_locked.lock:
        round_price_locked.rounded += 1
    return round(price, 1)


round_price.rounded = round_price_locked.rounded = 0
round_price_locked.lock = threading.Lock()


class Broken(ThreadSafeAdapter):
    @tool(examples=[[9.99]])
    def price(self, exact):
        return round_price(exact)


class Mended(ThreadSafeAdapter):
    """The lock is another attribute of the function."""

    @tool(examples=[[9.99]])
    def price(self, exact):
        return round_price_locked(exact)
