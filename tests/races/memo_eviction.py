"""Between the test of the size and the deletion, another thread deletes the same oldest entry."""

import functools

from bridge import ThreadSafeAdapter, tool

EXPECTED = "known"


def collatz(number):
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.known = {}

    @tool(examples=[[6], [7], [9]])
    def steps(self, number):
        if number not in self.known:
            if len(self.known) >= 2:
                del self.known[next(iter(self.known))]
            self.known[number] = collatz(number)
        return self.known.get(number)


class Mended(ThreadSafeAdapter):
    """`functools.lru_cache` evicts by itself and keeps its order under threads."""

    def setup(self):
        self.collatz = functools.lru_cache(maxsize=2)(collatz)

    @tool(examples=[[6], [7], [9]])
    def steps(self, number):
        return self.collatz(number)
