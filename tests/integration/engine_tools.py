"""Adapters whose tools run elsewhere, for the tests of engines and ``scripts/cluster-test``."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bridge import Adapter, Context, tool
from bridge.engines import Processes


class Replicated(Adapter):
    """Says nothing of threads: each replica runs one call at a time."""

    engine = Processes(replicas=2)

    def setup(self) -> None:
        self.calls = 0

    @tool
    def add(self, a: int, /, b: int = 1, *, c: int = 0) -> int:
        return a + b + c

    @tool
    def process(self) -> list[int]:
        """The process, and how many calls it had."""
        self.calls += 1
        return [os.getpid(), self.calls]

    @tool
    def fails(self, text: str) -> None:
        raise ValueError(text)

    @tool
    def items(self, count: int) -> Iterator[int]:
        yield from range(count)
        return count

    @tool
    def endless(self, path: str) -> Iterator[int]:
        """Leaves a byte in a file for each item."""
        for number in itertools.count():
            with open(path, "ab") as file:
                file.write(b".")
            yield number

    @tool
    def leave_at(self, directory: str, name: str) -> list[int]:
        """Says by a file that it runs, and waits until there is another one."""
        began, go_on = Path(directory, f"{name}.began"), Path(directory, f"{name}.go")
        began.write_text(str(os.getpid()))
        while not go_on.exists():
            time.sleep(0.005)
        return [os.getpid()]

    @tool
    def heeds(self, directory: str, ctx: Context) -> None:
        """The same until nobody awaits it any more, which it says as well."""
        Path(directory, "heeds.began").touch()
        ctx.wait(60.0)
        Path(directory, "heeds.cancelled").touch()

    @tool
    def tells(self, ctx: Context) -> list[Any]:
        ctx.progress(1, 2, "half")
        return [ctx.session, dict(ctx.metadata)]

    @tool
    async def is_async(self) -> str:
        return threading.current_thread().name

    @tool
    def exits(self) -> None:
        os._exit(3)

    @tool(idempotent=True)
    def exits_once(self, path: str) -> int:
        try:
            Path(path).touch(exist_ok=False)
        except FileExistsError:
            return os.getpid()
        os._exit(3)

    @tool
    def double(self, values: np.ndarray) -> np.ndarray:
        return values * 2

    @tool
    def lock(self) -> Any:
        return threading.Lock()

    @tool(batch=4)
    def squares(self, values: list[int]) -> list[int]:
        return [value * value for value in values]


class Tasks(Adapter):
    """Some tools run here, others as tasks."""

    __thread_safe__ = True

    def setup(self) -> None:
        self.factor = 3

    @tool
    def here(self) -> int:
        return os.getpid()

    @tool(on="processes")
    def there(self, value: int) -> list[int]:
        return [os.getpid(), value * self.factor]

    @tool(on="processes")
    def items(self, count: int) -> Iterator[int]:
        yield from range(count)
        return count

    @tool(on="processes")
    def exits(self) -> None:
        os._exit(3)


class Careless(Tasks):
    """The same, but it does not say that its tools may run at once."""

    __thread_safe__ = False


class Broken(Replicated):
    """One whose replicas cannot be set up."""

    def setup(self) -> None:
        raise RuntimeError("the model is not there")


class Elsewhere(Adapter):
    """One whose ``engine`` is nothing of the bridge's, as of SQLAlchemy."""

    engine = "sqlite:///"

    @tool
    def here(self) -> int:
        return os.getpid()
