"""Tools whose values are tables and objects of classes. Nothing is imported before it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


@dataclass
class Money:
    """What an application has of its own."""

    cents: int
    currency: str = "EUR"


class Debt(Money):
    """One that is derived from it."""


@dataclass
class Order:
    """Has others in it."""

    lines: list[Money]
    total: Money


class Colour(Enum):
    """A plain value with a name."""

    RED = "red"


class Secret:
    """Has no form but the adapter's."""

    text = "sesame"


class Tools(ThreadSafeAdapter):
    """What ``decoders_test.exs`` and ``table_test.exs`` call."""

    encoders = {Secret: lambda secret: [secret.text, Money(1)]}

    @tool
    def money(self, cents: int) -> Any:
        return Money(cents)

    @tool
    def everything(self) -> Any:
        order = Order([Money(1), Debt(2)], Money(3))
        price = Decimal("1.50")
        return {
            "order": order,
            "colour": Colour.RED,
            "price": [price],
            "secret": Secret(),
            price: 1,
        }

    @tool
    def monies(self, count: int) -> Iterator[Any]:
        for cents in range(count):
            yield Money(cents)
        return Money(count)

    @tool
    def in_elixir(self, name: str, *, ctx: Context) -> Any:
        return ctx.call_elixir(name, Money(7), [Debt(8)])

    @tool
    def tell(self, *, ctx: Context) -> None:
        ctx.send_elixir("test", Money(9))

    @tool
    def report(self, *, ctx: Context) -> None:
        ctx.log("error", "money", price=Money(9))

    @tool
    def unencodable(self) -> Any:
        return [Money(object())]  # type: ignore[arg-type]

    @tool
    def large(self) -> Any:
        return [Money(b"x" * 1_000_000), b"y" * 1_000_000]  # type: ignore[arg-type]

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def sales(self, rows: int) -> Any:
        import pyarrow

        return pyarrow.table({"region": ["north", "süd"] * rows, "sold": range(2 * rows)})

    @tool
    def batches(self, count: int) -> Iterator[Any]:
        import pyarrow

        for number in range(count):
            yield pyarrow.RecordBatch.from_pydict({"n": [number]})

    @tool
    def described(self, table: Any) -> list[Any]:
        return [type(table).__name__, table.to_pydict()]
