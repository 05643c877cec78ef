"""Tools that are called for many calls at once."""

import threading
import time
from typing import Any

import numpy as np

from bridge import Adapter, CallError, Context, current_context, tool


class Batches(Adapter):
    __thread_safe__ = True

    def setup(self) -> None:
        self.sizes: list[int] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.went_in = threading.Semaphore(0)

    @tool
    def log(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "most": self.most_at_once}

    @tool
    def let_go(self) -> None:
        self.go.set()

    @tool
    def hold_next(self) -> None:
        self.go.clear()

    @tool
    def wait_for_a_batch(self) -> bool:
        return self.went_in.acquire(timeout=20)

    @tool(batch=4, wait_ms=50)
    def double(self, numbers: list[int]) -> list[int]:
        """Stays until it is let go."""
        self.sizes.append(len(numbers))
        self.went_in.release()
        self.go.wait(20)
        return [2 * number for number in numbers]

    @tool(batch=8, wait_ms=0)
    def divide(self, dividends: list[int], divisors: list[int]) -> list[Any]:
        """Of one that cannot be divided only its own call fails."""
        results: list[Any] = []
        for dividend, divisor in zip(dividends, divisors, strict=True):
            try:
                results.append(dividend / divisor)
            except ZeroDivisionError as error:
                results.append(error)
        return results

    @tool(batch=8)
    def not_found(self, names: list[str]) -> list[Any]:
        return [CallError(f"no {name}", code="not_found") for name in names]

    @tool(batch=8)
    def all_fail(self, values: list[Any]) -> list[Any]:
        raise ValueError(f"{len(values)} fail")

    @tool(batch=8)
    def too_few(self, values: list[Any]) -> list[Any]:
        return values[1:]

    @tool(batch=8)
    def no_list(self, values: list[Any]) -> Any:
        return {"a": values}

    @tool(batch=8)
    def no_form(self, values: list[Any]) -> list[Any]:
        return [object() if value == "odd" else value for value in values]

    @tool(batch=8)
    def rows(self, arrays: list[Any]) -> Any:
        return np.stack(arrays) * 2

    @tool(batch=8)
    def with_defaults(self, a: list[int], b: list[int] = 5, *, c: list[int] = 7) -> list[Any]:  # type: ignore[assignment]
        return [[*three] for three in zip(a, b, c, strict=True)]

    @tool(batch=8)
    async def later(self, values: list[Any]) -> list[Any]:
        import asyncio

        await asyncio.sleep(0)
        return values

    @tool(batch=3, wait_ms=0, max_concurrency=2)
    def two_at_once(self, values: list[Any]) -> list[Any]:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.went_in.release()
        self.go.wait(20)
        with self.lock:
            self.at_once -= 1
        return values

    @tool(batch=8)
    def has_no_context(self, values: list[Any]) -> list[Any]:
        try:
            current_context()
        except LookupError:
            return ["none"] * len(values)
        return ["one"] * len(values)

    @tool
    def echo(self, value: Any) -> Any:
        return value


class OneAtATime(Adapter):
    """Says nothing about threads: one call at a time."""

    @tool(batch=8)
    def double(self, numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]

    @tool(batch=8)
    async def double_later(self, numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]


class Network(Adapter):
    """A small network, whose batches cost little more than one call."""

    __thread_safe__ = True

    def setup(self) -> None:
        random = np.random.default_rng(0)
        self.layers = [random.standard_normal((512, 512), np.float32) / 23 for _ in range(4)]

    def _run(self, values: Any) -> Any:
        for layer in self.layers:
            values = np.maximum(values @ layer, 0)
        return values

    @tool
    def one(self, vector: Any) -> Any:
        return self._run(vector[None])[0]

    @tool(batch=32)
    def many(self, vectors: list[Any]) -> Any:
        return self._run(np.stack(vectors))


class WantsContext(Adapter):
    @tool(batch=2)
    def takes_it(self, values: list[Any], ctx: Context) -> list[Any]:
        return values


class HasNoParameter(Adapter):
    @tool(batch=2)
    def nothing(self) -> list[Any]:
        return []


class Streams(Adapter):
    @tool(batch=2)
    def items(self, values: list[Any]) -> Any:
        yield values


class TakesAnything(Adapter):
    @tool(batch=2)
    def anything(self, *values: Any) -> Any:
        time.sleep(0)
        return values
