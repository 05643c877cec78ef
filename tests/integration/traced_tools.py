"""An adapter that keeps the spans of its calls, and shows them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bridge import Adapter, CallError, tool


class Traced(Adapter):
    __thread_safe__ = True

    def setup(self) -> None:
        self.kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.kept))
        trace.set_tracer_provider(provider)

    @tool
    def spans(self) -> list[dict[str, Any]]:
        """Those that have ended; this call's own has not."""
        return [
            {
                "name": span.name,
                "trace": f"{span.context.trace_id:032x}",
                "id": f"{span.context.span_id:016x}",
                "parent": None if span.parent is None else f"{span.parent.span_id:016x}",
                "kind": span.kind.name,
                "status": span.status.status_code.name,
                "attributes": dict(span.attributes or {}),
                "events": [event.name for event in span.events],
            }
            for span in self.kept.get_finished_spans()
        ]

    def _inner(self, name: str) -> None:
        trace.get_tracer("tools").start_span(name).end()

    @tool
    def add(self, a: int, b: int = 1) -> int:
        self._inner("inside add")
        return a + b

    @tool
    async def add_later(self, a: int, b: int = 1) -> int:
        await asyncio.sleep(0)
        self._inner("inside add_later")
        return a + b

    @tool
    def count(self, n: int) -> Iterator[int]:
        for number in range(n):
            self._inner(f"inside count {number}")
            yield number

    @tool
    async def count_later(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            self._inner(f"inside count_later {number}")
            yield number

    @tool(batch=4)
    def double(self, numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]

    @tool
    def fails(self) -> None:
        raise CallError("there is no such user", code="not_found")

    @tool
    def waits(self, seconds: float) -> None:
        time.sleep(seconds)


class NoProvider(Adapter):
    __thread_safe__ = True

    @tool
    def add(self, a: int, b: int) -> int:
        return a + b
