"""`+=` on an array works in place, without the GIL for large ones: elements lose additions."""

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "energy"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.energy = np.zeros(4)

    @tool(examples=[[[1.0, 2.0, 3.0, 4.0]]])
    def absorb(self, signal):
        self.energy += np.square(signal)
        return float(self.energy.sum())


class Mended(ThreadSafeAdapter):
    """The square belongs to the call; only adding and summing are under the lock."""

    def setup(self):
        self.energy = np.zeros(4)

    @tool(examples=[[[1.0, 2.0, 3.0, 4.0]]])
    def absorb(self, signal):
        square = np.square(signal)
        with self.acquire_lock():
            self.energy += square
            return float(self.energy.sum())
