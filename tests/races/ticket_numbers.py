"""Two calls read the same next number before either raises it, and sell the same ticket."""

import itertools

from bridge import ThreadSafeAdapter, tool

EXPECTED = "next_free"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.next_free = 1

    @tool(examples=[["opera"]])
    def sell(self, show):
        number = self.next_free
        self.next_free += 1
        return f"{show} {number}"


class Mended(ThreadSafeAdapter):
    """`itertools.count` counts in C: `next` on it is atomic."""

    def setup(self):
        self.numbers = itertools.count(1)

    @tool(examples=[["opera"]])
    def sell(self, show):
        return f"{show} {next(self.numbers)}"
