"""A generator shuffles the shared array in place while other calls do or read it."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "order"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.order = np.arange(10)

    @tool(examples=[[1], [2]])
    def batches(self, seed):
        np.random.default_rng(seed).shuffle(self.order)
        return self.order[:5].tolist()


class Mended(ThreadSafeAdapter):
    """`permutation` makes a shuffled copy."""

    def setup(self):
        self.order = np.arange(10)

    @tool(examples=[[1], [2]])
    def batches(self, seed):
        order = np.random.default_rng(seed).permutation(self.order)
        return order[:5].tolist()
