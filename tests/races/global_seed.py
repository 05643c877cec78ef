"""`random.seed` seeds the generator of the whole process, from which other calls draw, too."""

import random

from bridge import ThreadSafeAdapter, tool

EXPECTED = "random.seed"
GRADE = "documented"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[1, ["ann", "bob", "cid"]], [2, ["ann", "bob", "cid"]]])
    def draw(self, seed, names):
        random.seed(seed)
        return random.sample(names, 2)


class Mended(ThreadSafeAdapter):
    """`random.Random` is a generator of the call's own."""

    @tool(examples=[[1, ["ann", "bob", "cid"]], [2, ["ann", "bob", "cid"]]])
    def draw(self, seed, names):
        return random.Random(seed).sample(names, 2)
