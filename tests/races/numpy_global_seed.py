"""`np.random.seed` reseeds NumPy's one global generator while other calls draw from it."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "random.seed"
GRADE = "documented"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[1, 4], [2, 4]])
    def noise(self, seed, size):
        np.random.seed(seed)
        return np.random.normal(size=size).tolist()


class Mended(ThreadSafeAdapter):
    """`default_rng` makes a `Generator` that only this call uses."""

    @tool(examples=[[1, 4], [2, 4]])
    def noise(self, seed, size):
        return np.random.default_rng(seed).normal(size=size).tolist()
