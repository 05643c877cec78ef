"""The collector of garbage is one for the process: a call that left it off leaves it off for all."""

import gc

from bridge import ThreadSafeAdapter, tool

EXPECTED = "(gc)"
SOURCE = "https://github.com/python/cpython/pull/4224"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[3]])
    def measure(self, rounds):
        gc.disable()
        return sum(range(rounds))


class Mended(ThreadSafeAdapter):
    """What the call makes is freed when it ends, collector or not."""

    @tool(examples=[[3]])
    def measure(self, rounds):
        return sum(range(rounds))
