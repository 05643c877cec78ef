"""A generator that is seeded for each call is shared: another call seeds it in between."""

import random

from bridge import ThreadSafeAdapter, tool

EXPECTED = "dice"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.dice = random.Random()

    @tool(examples=[[1, 3], [2, 3]])
    def rolls(self, seed, number):
        self.dice.seed(seed)
        return [self.dice.randint(1, 6) for _ in range(number)]


class Mended(ThreadSafeAdapter):
    """A call makes its own from the seed."""

    @tool(examples=[[1, 3], [2, 3]])
    def rolls(self, seed, number):
        dice = random.Random(seed)
        return [dice.randint(1, 6) for _ in range(number)]
