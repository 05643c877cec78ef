"""The tools that ``scripts/bench`` calls."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    """What the bare programs do, as tools, and some work for two cores."""

    def setup(self) -> None:
        self._fitting = threading.Lock()
        self._model: Any = None

    @tool
    def echo(self, value: Any) -> Any:
        """What came."""
        return value

    @tool
    def sleep(self, seconds: float) -> float:
        """Waits, as for a database."""
        time.sleep(seconds)
        return seconds

    @tool
    def hold(self, value: Any) -> Any:
        """What came, but not at once: so that several are here at the same time."""
        time.sleep(0.5)
        return value

    @tool
    def spin(self, seconds: float) -> float:
        """Computes in Python, so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return seconds

    @tool
    def work(self, steps: int) -> int:
        """Computes in Python, so much."""
        total = 0
        for step in range(steps):
            total += step * step & 7
        return total

    @tool
    def multiply(self, size: int, times: int) -> float:
        """Products of two matrices, which NumPy computes without the GIL."""
        import numpy as np

        matrix = np.ones((size, size), dtype=np.float64)
        out = np.empty_like(matrix)
        for _ in range(times):
            np.matmul(matrix, matrix, out=out)
        return float(out[0, 0])

    @tool
    def asks(self, value: int, ctx: Context) -> Any:
        """Twice the value, which Elixir computes."""
        return ctx.call_elixir("double", value)

    @tool
    def count(self, items: int) -> Iterator[int]:
        """A stream of small items."""
        yield from range(items)

    @tool
    def tokens(self, count: int, per_s: float) -> Iterator[str]:
        """Texts of 50 bytes at a steady pace, each with the time at which it was made."""
        started = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, started + number / per_s - time.monotonic()))
            yield f"{time.time_ns():<50}"

    @tool
    async def idle(self) -> AsyncIterator[str]:
        """One item, and then nothing for an hour."""
        import asyncio

        yield "open"
        await asyncio.sleep(3600)

    @tool
    def predict(self, rows: list[list[float]]) -> list[float]:
        """What a forest of scikit-learn says of some rows."""
        with self._fitting:
            if self._model is None:
                self._model = _fitted()
        predictions: list[float] = self._model.predict(rows).tolist()
        return predictions


def _fitted() -> Any:
    from sklearn.linear_model import LogisticRegression

    rows = [[float(n * k % 7) for k in range(1, 9)] for n in range(200)]
    return LogisticRegression(max_iter=500).fit(rows, [n % 2 for n in range(200)])


def _echo(self: ThreadSafeAdapter, value: Any) -> Any:
    """What came."""
    return value


def _named(name: str) -> Any:
    # a function of its own for each tool, as in any adapter
    function = type(_echo)(_echo.__code__, globals(), name)
    function.__annotations__ = dict(_echo.__annotations__)
    function.__doc__ = _echo.__doc__
    return tool(function)


#: An adapter with as many tools as $BENCH_TOOLS says, one of them ``echo``.
Many = type(
    "Many",
    (ThreadSafeAdapter,),
    {
        name: _named(name)
        for name in (
            "echo",
            *(f"tool_{number}" for number in range(1, int(os.environ.get("BENCH_TOOLS", 1)))),
        )
    },
)
