"""`random.shuffle` swaps card by card; who deals meanwhile sees some cards twice, others never."""

import random

from bridge import ThreadSafeAdapter, tool

EXPECTED = "cards"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.cards = list(range(32))

    @tool(examples=[[5]])
    def deal(self, number):
        random.shuffle(self.cards)
        return sorted(self.cards[:number])


class Mended(ThreadSafeAdapter):
    """Every call draws from the deck without moving its cards."""

    def setup(self):
        self.cards = tuple(range(32))

    @tool(examples=[[5]])
    def deal(self, number):
        return sorted(random.sample(self.cards, number))
