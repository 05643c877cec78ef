"""Tools whose values are tables, arrays and types of their own. Nothing is imported before it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge import ThreadSafeAdapter, tool


class Money:
    """A type of an application's own."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


class Label(str):
    """One of MessagePack's own, by inheritance."""


class Tools(ThreadSafeAdapter):
    """What ``test_values.py`` and the Elixir client call."""

    encoders = {Money: lambda money: {"cents": money.cents}, Label: lambda label: [str(label)]}
    decoders = {Money: lambda wire: Money(wire["cents"])}

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def table(self, rows: int) -> Any:
        import pyarrow

        return pyarrow.table({"n": range(rows), "text": ["ä"] * rows})

    @tool
    def described(self, table: Any) -> list[Any]:
        return [type(table).__module__.partition(".")[0], table.to_pydict()]

    @tool
    def batches(self, count: int) -> Iterator[Any]:
        import pyarrow

        for number in range(count):
            yield pyarrow.RecordBatch.from_pydict({"n": [number]})

    @tool(stream=True)
    def reader(self, count: int) -> Any:
        import pyarrow

        return pyarrow.table({"n": range(count)}).to_reader(max_chunksize=1)

    @tool
    def sum(self, first: Money, others: list[Money]) -> Money:
        return Money(first.cents + sum(other.cents for other in others))

    @tool
    def labels(self) -> Any:
        return [Label("a"), {Label("b").upper(): Label("c")}]

    @tool(writable=True)
    def raised(self, values: Any) -> Any:
        values += 1
        return values

    @tool
    def forgot_to_stream(self) -> Any:
        return (number for number in range(3))

    @tool
    def loaded(self) -> list[str]:
        import sys

        names = {"numpy", "pyarrow", "pandas", "polars", "torch", "bridge.conversions.libraries"}
        return sorted(names & {*sys.modules})
