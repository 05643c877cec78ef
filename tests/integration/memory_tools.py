"""Tools for tests of shared memory."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

from bridge import ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    """Large values in every form."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.bytes = b""

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def digest(self, *values: Any) -> list[Any]:
        return [_digest(value) for value in values]

    @tool
    def size(self, value: Any) -> int:
        return len(value)

    @tool
    def make(self, size: int) -> bytes:
        return bytes(size)

    @tool
    def nap(self, seconds: float, size: int) -> bytes:
        time.sleep(seconds)
        return bytes(size)

    @tool
    def forks(self, size: int, fifo: str) -> bytes:
        """The parent answers at once; the child returns as well, when somebody has opened the FIFO."""
        self.child = os.fork()
        if self.child == 0:
            with open(fifo):
                return b"c" * size
        return b"p" * size

    @tool
    def await_child(self) -> None:
        os.waitpid(self.child, 0)

    @tool
    def made(self, size: int) -> bytes:
        """The same bytes each time: what it costs to make them is not measured."""
        if len(self.bytes) != size:
            self.bytes = b"\1" * size
        return self.bytes

    @tool
    def nested(self, size: int) -> Any:
        import numpy

        array = numpy.arange(size // 4, dtype="f4").reshape(2, -1)
        return {
            "a": [b"x" * size, {"b": array}],
            "c": "\u00fc" * size,
            "d": bytearray(size),
            "e": 1,
        }

    @tool
    def items(self, count: int, size: int) -> Any:
        for number in range(count):
            yield bytes([number % 256]) * size if number % 2 == 0 else number

    @tool
    def double(self, array: Any) -> Any:
        return array * 2

    @tool
    def keep(self, array: Any) -> bool:
        self.kept.append(array[1:])
        return bool(array.flags.writeable)

    @tool
    def kept_sum(self) -> float:
        return float(sum(array.sum() for array in self.kept))

    @tool
    def drop(self) -> None:
        self.kept.clear()

    @tool
    def frame(self, rows: int) -> Any:
        import pandas

        return pandas.DataFrame({"x": range(rows), "y": [0.5] * rows})

    @tool
    def rows(self, table: Any) -> int:
        return int(table.num_rows)

    @tool
    async def later(self, value: Any) -> Any:
        return value


def _digest(value: Any) -> Any:
    if isinstance(value, str):
        value = value.encode()
    return hashlib.blake2b(value).digest() if isinstance(value, bytes) else repr(value)
