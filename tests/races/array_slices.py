"""Two workers add to slices that overlap, and what both add to the shared part is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "spectrum"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[1.5], [2.0]])
    def amplify(self, gain):
        spectrum = np.ones(8)
        both = threading.Barrier(2)  # or one worker might do it all

        def work(start, stop):
            both.wait()
            spectrum[start:stop] *= gain

        with ThreadPoolExecutor(2) as pool:
            pool.submit(work, 0, 5)
            pool.submit(work, 3, 8)
        return spectrum.tolist()


class Mended(ThreadSafeAdapter):
    """The slices are disjoint, and the end of the `with` block waits for both workers."""

    @tool(examples=[[1.5], [2.0]])
    def amplify(self, gain):
        spectrum = np.ones(8)
        both = threading.Barrier(2)  # or one worker might do it all

        def work(start, stop):
            both.wait()
            spectrum[start:stop] *= gain

        with ThreadPoolExecutor(2) as pool:
            pool.submit(work, 0, 4)
            pool.submit(work, 4, 8)
        return spectrum.tolist()
