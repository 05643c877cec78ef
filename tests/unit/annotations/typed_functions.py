"""Functions whose annotations are text, as with ``from __future__ import annotations``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import bridge
from bridge import ThreadSafeAdapter, tool

if TYPE_CHECKING:
    from decimal import Decimal

P = ParamSpec("P")
R = TypeVar("R")
JSON = dict[str, "JSON"] | list["JSON"] | str


@dataclass
class Node:
    name: str
    data: bytes = b""
    children: list[Node] = field(default_factory=list)


def count(node: Node, by: "int" = 1) -> Decimal:  # noqa: UP037
    return by + sum(count(child, 0) for child in node.children)  # type: ignore[return-value]


def pay(amount: Decimal) -> None:
    pass


def misspelt(amount: Decimla) -> None:  # type: ignore[name-defined]  # noqa: F821
    pass


def recursive(value: JSON) -> None:
    pass


def logged(function: Callable[P, R]) -> Callable[P, R]:
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return call


@logged
def unwrapped(node: Node) -> Node:
    return node


class Nested(ThreadSafeAdapter, validate=True):
    """A class that is defined in the adapter's own, and named there without it."""

    @dataclass
    class Order:
        item: str

    @tool
    def order(self, order: Order, ctx: bridge.Context) -> str:
        return order.item

    @tool(validate=False)
    def anything(self, order: Order) -> object:
        return order
