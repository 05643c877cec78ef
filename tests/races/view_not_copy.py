"""A slice of a NumPy array is a view: working in place on it works on the shared array."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "samples"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.samples = np.arange(16.0)

    @tool(examples=[[0, 8], [4, 12]])
    def centred(self, start, stop):
        window = self.samples[start:stop]
        window -= window.mean()
        return window.tolist()


class Mended(ThreadSafeAdapter):
    """The subtraction makes a new array, and the shared one is only read."""

    def setup(self):
        self.samples = np.arange(16.0)

    @tool(examples=[[0, 8], [4, 12]])
    def centred(self, start, stop):
        window = self.samples[start:stop]
        window = window - window.mean()
        return window.tolist()
