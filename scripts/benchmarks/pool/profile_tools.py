"""What the benchmark of pools calls: tools that sleep, let NumPy compute, and compute in Python."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy

from bridge import ThreadSafeAdapter, tool


class ProfileTools(ThreadSafeAdapter):
    """With ``PROFILE_MODEL`` it loads a file of NumPy, with ``PROFILE_MMAP=c`` as a map of memory.

    A map of mode ``c`` is copied on write: all processes share its pages until they change them.
    """

    def setup(self) -> None:
        self.matrix = numpy.random.default_rng(1).random((200, 200))
        path = os.environ.get("PROFILE_MODEL")
        self.model: Any = None
        if path:
            self.model = numpy.load(path, mmap_mode=os.environ.get("PROFILE_MMAP") or None)
            self.model.sum()

    @tool
    def quick(self) -> bool:
        return True

    @tool
    def sleeps(self) -> None:
        time.sleep(0.02)

    @tool
    def numpy_computes(self) -> float:
        return float((self.matrix @ self.matrix)[0, 0])

    @tool
    def python_computes(self) -> int:
        return sum(n * n for n in range(60_000))
