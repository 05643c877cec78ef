"""Tools with annotations that hold, for every transport."""

from __future__ import annotations

import enum
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from bridge import Context, ThreadSafeAdapter, tool


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    name: str
    price: Decimal
    data: bytes = b""
    parts: list[Item] = field(default_factory=list)


class Typed(ThreadSafeAdapter, validate=True):
    @tool
    def show(
        self, item: Item, color: Color | None = None, sizes: dict[int, float] | None = None
    ) -> str:
        return f"{item!r} {color!r} {sizes!r}"

    @tool
    def raw(self, data: bytes, text: str = "") -> str:
        return f"{data!r} {text!r}"

    @tool
    def total(self, values: npt.NDArray[np.float64]) -> float:
        return float(values.sum())

    @tool
    def later(self, at: datetime, by: timedelta) -> datetime:
        return at + by

    @tool
    async def soon(self, color: Color) -> str:
        return repr(color)

    @tool
    def items(self, colors: list[Color]) -> Iterator[str]:
        for color in colors:
            yield repr(color)

    @tool
    async def soon_items(self, colors: list[Color]) -> AsyncIterator[str]:
        for color in colors:
            yield repr(color)

    @tool
    def waits(self, color: Color, ctx: Context) -> str:
        return f"{color!r} {ctx.tool}"

    @tool(serial=True)
    def alone(self, color: Color) -> str:
        return repr(color)

    @tool(interruptible=True)
    def ended(self, color: Color) -> str:
        return repr(color)

    @tool(validate=False)
    def free(self, color: Color) -> str:
        return repr(color)

    @tool(validate=False)
    def hold(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


class Plain(ThreadSafeAdapter):
    """Annotations as anybody writes them, and nothing else."""

    @tool
    def raw(self, data: bytes, text: str = "", n: int = 0) -> str:
        return f"{data!r} {text!r} {n!r}"

    @tool
    async def soon(self, data: bytes) -> str:
        return repr(data)

    @tool
    def items(self, parts: list[str], data: bytes) -> Iterator[str]:
        yield repr(data)
