"""`np.add.at` writes into the array that it is given, though no statement shows it."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "bins"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.bins = np.zeros(5, dtype=int)

    @tool(examples=[[[1, 1, 4]], [[0, 1]]])
    def count(self, marks):
        np.add.at(self.bins, marks, 1)
        return int(self.bins.sum())


class Mended(ThreadSafeAdapter):
    """Writing and summing are under the lock."""

    def setup(self):
        self.bins = np.zeros(5, dtype=int)

    @tool(examples=[[[1, 1, 4]], [[0, 1]]])
    def count(self, marks):
        with self.acquire_lock():
            np.add.at(self.bins, marks, 1)
            return int(self.bins.sum())
