"""`out=` saves an allocation, but all calls write their product into the same array."""

import threading

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "product"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.weights = np.array([0.2, 0.3, 0.5])
        self.product = np.empty(3)

    @tool(examples=[[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]])
    def weigh(self, marks):
        np.multiply(self.weights, marks, out=self.product)
        return float(self.product.sum())


class Mended(ThreadSafeAdapter):
    """Every thread has an output array of its own; the weights are only read."""

    def setup(self):
        self.weights = np.array([0.2, 0.3, 0.5])
        self.local = threading.local()

    @tool(examples=[[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]])
    def weigh(self, marks):
        if not hasattr(self.local, "product"):
            self.local.product = np.empty(3)
        np.multiply(self.weights, marks, out=self.local.product)
        return float(self.local.product.sum())
