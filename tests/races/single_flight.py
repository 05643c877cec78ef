"""The second caller of a key finds that the first computes it, and reads without waiting."""

from concurrent.futures import Future

from bridge import ThreadSafeAdapter, tool

EXPECTED = "factors"


def factorise(number):
    return [n for n in range(2, number) if number % n == 0]


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.asked = set()
        self.factors = {}

    @tool(examples=[[12], [91]])
    def divisors(self, number):
        with self.acquire_lock():
            first = number not in self.asked
            self.asked.add(number)
        if first:
            self.factors[number] = factorise(number)
        return self.factors.get(number)


class Mended(ThreadSafeAdapter):
    """The first leaves a `Future` behind, and the others wait for its result."""

    def setup(self):
        self.factors = {}

    @tool(examples=[[12], [91]])
    def divisors(self, number):
        with self.acquire_lock():
            future = self.factors.get(number)
            if first := future is None:
                future = self.factors[number] = Future()
        if first:
            future.set_result(factorise(number))
        return future.result()
