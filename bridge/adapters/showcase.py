"""A model to copy: six tools, the three patterns of thread safety, real NumPy work.

    python -m bridge tools bridge.adapters.showcase:Showcase
    python -m bridge call bridge.adapters.showcase:Showcase matrix_multiply '{"size": 64}'

The guide to it is docs/thread-safety.md.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Any

import numpy as np

from bridge import Context, InvalidParams, ThreadSafeAdapter, thread_safe_method, tool

_SIZE = 512
_CHUNK = 65_536
_KEPT = 1000
_BINS = 10


class Showcase(ThreadSafeAdapter):
    """Each docstring names the pattern that keeps the tool right on many workers at once."""

    def __init__(self) -> None:
        # 1. shared, read-only: NumPy itself refuses writes from here on
        self._matrix = np.random.default_rng(1).integers(-9, 10, (_SIZE, _SIZE)).astype(float)
        self._midpoints = np.arange(_CHUNK) + 0.5
        self._matrix.flags.writeable = self._midpoints.flags.writeable = False
        # 3. locked: many calls write these, so even a look at them takes the lock
        self._history: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._finished = 0
        self._histogram = np.zeros(_BINS, dtype=np.int64)

    @tool(examples=[{"size": 8}, {"size": 64}])
    @thread_safe_method
    def matrix_multiply(self, size: int = 256) -> dict[str, Any]:
        """Multiply the corner of a matrix by its transpose. Shared, read-only: no lock."""
        corner = self._matrix[: _whole("size", size, 1, _SIZE), :size]
        product = corner @ corner.T
        result = {"size": size, "trace": float(product.trace()), "largest": float(product.max())}
        self._finish("matrix_multiply")
        return result

    @tool(examples=[{"points": 1000}, {"points": 100_000}])
    @thread_safe_method
    def compute_intensive(self, ctx: Context, points: int = 1_000_000) -> float:
        """Integrate 4 / (1 + x²) from 0 to 1, which gives pi. Thread-local: a buffer per worker."""
        _whole("points", points, 1, 10**10)
        buffer = self.get_thread_local("buffer")
        if buffer is None:
            buffer = np.empty(_CHUNK)
            self.set_thread_local("buffer", buffer)
        total = 0.0
        for start in range(0, points, _CHUNK):
            ctx.check()  # leave when nobody waits any more
            x = buffer[: min(_CHUNK, points - start)]
            np.add(self._midpoints[: len(x)], start, out=x)
            x /= points
            x *= x
            x += 1.0
            np.divide(4.0, x, out=x)
            total += float(x.sum())
        self._finish("compute_intensive")
        return total / points

    @tool(examples=[{"items": [1, 2, 3, 4, 5], "batch_size": 2}])
    @thread_safe_method
    def batch_process(
        self, ctx: Context, items: list[float], batch_size: int = 100
    ) -> list[dict[str, float]]:
        """Mean and deviation of each batch, with progress. Local until done, then locked once."""
        try:
            values = np.asarray(items)
        except ValueError:  # lists of different lengths
            values = np.empty((0, 0))
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise InvalidParams("items must be a flat list of numbers")
        starts = range(0, len(values), _whole("batch_size", batch_size, 1, 10**6))
        results = []
        for done, start in enumerate(starts, 1):
            ctx.check()
            batch = values[start : start + batch_size].astype(float)
            results.append({"mean": float(batch.mean()), "deviation": float(batch.std())})
            ctx.progress(done, len(starts))
        self._finish("batch_process")
        return results

    @tool(examples=[{"rounds": 3}, {"rounds": 20, "samples": 100, "seed": 7}])
    @thread_safe_method
    def stress_test(
        self, ctx: Context, rounds: int = 100, samples: int = 1000, seed: int = 0
    ) -> list[int]:
        """Count random numbers into one histogram, often. Locked: the update, not the work."""
        _whole("samples", samples, 1, 10**6)
        random = np.random.default_rng(_whole("seed", seed, 0, 2**63))  # one for each call
        mine = np.zeros(_BINS, dtype=np.int64)
        for _ in range(_whole("rounds", rounds, 1, 10**6)):
            ctx.check()
            counts = np.bincount(random.integers(0, _BINS, samples), minlength=_BINS)
            mine += counts
            with self.acquire_lock():
                self._histogram += counts
        self._finish("stress_test")
        return [int(count) for count in mine]

    @tool(examples=[[]])
    def get_adapter_stats(self) -> dict[str, Any]:
        """What all calls did so far. Locked: the numbers belong to one moment."""
        with self.acquire_lock():
            finished, histogram = self._finished, self._histogram.tolist()
        return {**self.get_stats(), "finished": finished, "histogram": histogram}

    @tool(examples=[[], {"offset": 1, "limit": 2}])
    def get_history(self, offset: int = 0, limit: int = 20) -> dict[str, Any]:
        """A page of finished calls, from number ``offset`` on. Locked: a copy leaves, not the deque.

        ``next_offset`` begins the next page, None at the end. Numbers never change, so pages do
        not shift while calls go on; the oldest entries are forgotten.
        """
        _whole("offset", offset, 0, 10**12)
        _whole("limit", limit, 1, 100)
        with self.acquire_lock():
            total = self._finished
            oldest = total - len(self._history)
            first = max(offset, oldest)
            entries = list(islice(self._history, first - oldest, first - oldest + limit))
        end = first + len(entries)
        return {"entries": entries, "total": total, "next_offset": end if end < total else None}

    def _finish(self, tool: str) -> None:
        worker = threading.current_thread().name
        with self.acquire_lock():
            self._history.append({"number": self._finished, "tool": tool, "worker": worker})
            self._finished += 1


def _whole(name: str, value: int, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidParams(f"{name} must be a whole number from {least} to {most}, got {value!r}")
    return value
