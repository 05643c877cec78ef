"""The third argument of `np.add` is its output: all calls write their sum into one array."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "shifted"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.curve = np.array([1.0, 4.0, 9.0])
        self.shifted = np.empty(3)

    @tool(examples=[[1.0], [-1.0]])
    def shift(self, by):
        np.add(self.curve, by, self.shifted)
        return self.shifted.tolist()


class Mended(ThreadSafeAdapter):
    """Without an output NumPy makes a new array for each call."""

    def setup(self):
        self.curve = np.array([1.0, 4.0, 9.0])

    @tool(examples=[[1.0], [-1.0]])
    def shift(self, by):
        return np.add(self.curve, by).tolist()
