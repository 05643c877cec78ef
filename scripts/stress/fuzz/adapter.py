"""The tools that the fuzzers call: quick and bounded, whatever the arguments are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    """A tool for every way through the bridge: reader, worker, stream, one at a time, failing."""

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def on_worker(self, value: Any, ctx: Context) -> Any:
        """Who asks for a context never runs on the reader."""
        return [value, ctx.cancelled]

    @tool(serial=True)
    def alone(self, value: Any) -> Any:
        return value

    @tool
    def count(self, stop: Any) -> Iterator[int]:
        yield from range(min(int(stop), 8))

    @tool
    def fail(self, message: Any = "as told") -> None:
        raise ValueError(str(message)[:100])
