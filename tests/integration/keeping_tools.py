"""Tools that end in every way, and one that counts what of their arguments and results is in memory."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from bridge import CallError, Context, ThreadSafeAdapter, tool
from bridge.testing import PATIENCE_S

#: What is looked for: maps with this key.
MARK = "the mark"


class Broken:
    """A result that raises while it is made plain."""

    def __init__(self, error: BaseException, value: Any) -> None:
        self.error = error
        self.value = value

    def model_dump(self) -> dict[str, Any]:
        raise self.error


class Keeping(ThreadSafeAdapter):
    """No collection hides here what refers to itself."""

    def setup(self) -> None:
        gc.disable()
        self._refused = CallError("the same error each time", code="not_found")

    @tool
    def begin(self) -> None:
        """Forget what others left behind."""
        gc.collect()

    @tool
    def kept(self) -> int:
        """How many maps with the mark are in memory."""
        return sum(type(found) is dict and MARK in found for found in gc.get_objects())

    @tool
    def returns(self, value: Any) -> Any:
        return {MARK: [value]}

    @tool(serial=True)
    def returns_alone(self, value: Any) -> Any:
        return {MARK: [value]}

    @tool
    def watches(self, value: Any, ctx: Context) -> Any:
        """A callback that leads back to the call, and is not called."""
        ctx.on_cancel(lambda: ctx.log("info", str(value)))
        return {MARK: [value]}

    # -- failures ---------------------------------------------------------------------------

    @tool
    def raises(self, value: Any) -> None:
        made = {MARK: [value]}
        raise ValueError(str(len(made)))

    @tool
    def raises_from(self, value: Any) -> None:
        try:
            self.raises(value)
        except ValueError as error:
            kept = error  # and so the frame keeps what keeps the frame
            raise LookupError("no") from kept

    @tool
    def raises_the_same(self, value: Any) -> None:
        made = {MARK: [value]}
        raise self._refused from KeyError(len(made))

    @tool
    def exits(self, value: Any) -> None:
        raise SystemExit({MARK: [value]})

    # -- results that have no form ------------------------------------------------------------

    @tool
    def unencodable(self, value: Any) -> Any:
        return {MARK: [value, threading.Lock()]}

    @tool
    def broken(self, value: Any) -> Any:
        return {MARK: [Broken(ValueError("broken"), value)]}

    @tool
    def broken_for_good(self, value: Any) -> Any:
        return {MARK: [Broken(SystemExit(3), value)]}

    @tool
    def too_large(self, value: Any, size: int) -> Any:
        return {MARK: [value, bytes(size)]}

    # -- what does not end by itself ------------------------------------------------------------

    @tool
    def checks(self, value: Any, ctx: Context) -> None:
        ctx.progress(1)
        ctx.wait(PATIENCE_S)
        made = {MARK: [value]}
        ctx.check()
        raise AssertionError(made)

    @tool
    def ends_in_time(self, value: Any, ctx: Context) -> Any:
        ctx.on_cancel(lambda: ctx.log("info", str(value)))
        ctx.progress(1)
        ctx.wait(PATIENCE_S)
        return {MARK: [value]}

    @tool
    async def async_waits(self, value: Any, ctx: Context) -> Any:
        made = {MARK: [value]}
        ctx.progress(1)
        await asyncio.sleep(PATIENCE_S)
        return made

    # -- async ------------------------------------------------------------------------------

    @tool
    async def async_returns(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return {MARK: [value]}

    @tool
    async def async_raises(self, value: Any) -> Any:
        made = {MARK: [value]}
        await asyncio.sleep(0)
        raise LookupError(len(made))

    # -- streams ----------------------------------------------------------------------------

    @tool
    def stream(self, value: Any, items: int = 2) -> Iterator[Any]:
        for _ in range(items):
            yield {MARK: [value]}

    @tool
    def stream_raises(self, value: Any) -> Iterator[Any]:
        yield {MARK: [value]}
        raise ValueError("in the middle")

    @tool
    def stream_unencodable(self, value: Any) -> Iterator[Any]:
        yield {MARK: [value, threading.Lock()]}

    @tool
    def stream_waits(self, value: Any, ctx: Context) -> Iterator[Any]:
        ctx.progress(1)
        while True:
            yield {MARK: [value, bytes(1 << 16)]}

    @tool
    async def async_stream(self, value: Any) -> AsyncIterator[Any]:
        yield {MARK: [value]}
        await asyncio.sleep(0)
        yield {MARK: [value]}

    @tool
    async def async_stream_raises(self, value: Any) -> AsyncIterator[Any]:
        yield {MARK: [value]}
        raise ValueError("in the middle")

    @tool
    async def async_stream_waits(self, value: Any, ctx: Context) -> AsyncIterator[Any]:
        made: Callable[[], Any] = lambda: {MARK: [value]}  # noqa: E731
        ctx.progress(1)
        yield made()
        await asyncio.sleep(PATIENCE_S)

    @tool
    def hostile(self, kind: str) -> Any:
        """A result that raises while it is made plain, in one of many ways."""
        return {"deep": [1, HOSTILE[kind]()]}

    @tool
    def hostile_stream(self, kind: str) -> Iterator[Any]:
        yield {"deep": [1, HOSTILE[kind]()]}


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even this")

    __repr__ = __str__


class Odd(Mapping[str, Any]):
    """A map that cannot be looked at."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


class Path:
    def __fspath__(self) -> str:
        raise OSError("no path")


class Nameless(type):
    """Classes that do not tell their names."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Unknown(metaclass=Nameless):
    pass


class Itself:
    def model_dump(self) -> Any:
        return self


HOSTILE: dict[str, Callable[[], Any]] = {
    "raises": lambda: Broken(KeyError("prices"), None),
    "raises what cannot be printed": lambda: Broken(Unprintable(), None),
    "raises a CallError": lambda: Broken(CallError("no", code="not_found"), None),
    "runs out of memory": lambda: Broken(MemoryError(), None),
    "exits": lambda: Broken(SystemExit(3), None),
    "is interrupted": lambda: Broken(KeyboardInterrupt(), None),
    "a map": Odd,
    "a path": Path,
    "a class without a name": Unknown,
    "itself": Itself,
    "no form": threading.Lock,
    "half a character": lambda: "\ud800",
}
