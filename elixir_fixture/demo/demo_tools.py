"""The tools of the demonstration, `scripts/demo`."""

import time
from collections.abc import Iterator

import numpy as np

from bridge import Context, ThreadSafeAdapter, tool


class DemoTools(ThreadSafeAdapter):
    """A few ordinary functions."""

    @tool
    def add(self, a: float, b: float) -> float:
        """Add two numbers."""
        return a + b

    @tool
    def slow_square(self, n: int, seconds: float) -> int:
        """Square a number, slowly, as something that waits for a network would."""
        time.sleep(seconds)
        return n * n

    @tool
    def primes(self) -> Iterator[int]:
        """Every prime, one by one; the caller decides when it has enough."""
        n = 2
        try:
            while True:
                if all(n % d for d in range(2, int(n**0.5) + 1)):
                    yield n
                n += 1
        finally:
            print(f"  (python) the generator of primes was closed at {n}", flush=True)

    @tool
    def train(self, epochs: int, ctx: Context) -> str:
        """Report progress until done or nobody waits any more."""
        for epoch in range(epochs):
            ctx.progress(epoch, epochs, "training")
            if ctx.wait(0.05):
                print(f"  (python) stopped training after epoch {epoch}", flush=True)
                ctx.check()
        return "trained"

    @tool
    def rotation(self, degrees: float) -> np.ndarray:
        """A 2 x 2 rotation matrix, as a tensor."""
        a = np.radians(degrees)
        return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], dtype=np.float32)
