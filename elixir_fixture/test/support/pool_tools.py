"""Tools for the tests of `Bridge.Pool`. Each is named after what it does."""

from __future__ import annotations

import os
import time
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool

_kept: list[bytes] = []


def _enter(ledger: str, line: str) -> None:
    """One write to a file opened for appending is whole, whoever else writes."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, (line + "\n").encode())
    finally:
        os.close(descriptor)


class PoolTools(ThreadSafeAdapter):
    def setup(self) -> None:
        """Fail while the file is there that the environment names, so that no process can start."""
        if os.path.exists(os.environ.get("POOL_CANNOT_START", "")):
            raise RuntimeError("this process shall not start")

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def enters(self, ledger: str, number: int, seconds: float = 0) -> int:
        """Write the number into the ledger, then take a while."""
        _enter(ledger, str(number))
        if seconds:
            time.sleep(seconds)
        return number

    @tool(idempotent=True)
    def enters_again(self, ledger: str, number: int, seconds: float = 0) -> int:
        _enter(ledger, str(number))
        if seconds:
            time.sleep(seconds)
        return number

    @tool(idempotent=True)
    def kills_its_process(self, ledger: str) -> None:
        _enter(ledger, str(os.getpid()))
        os.kill(os.getpid(), 9)

    @tool
    def waits_for(self, path: str, ctx: Context) -> int:
        """Wait until the file is there; the process that has waited is the result."""
        while not os.path.exists(path) and not ctx.cancelled:
            time.sleep(0.005)
        return os.getpid()

    @tool
    def seconds_left(self, ctx: Context) -> float | None:
        return ctx.time_remaining()

    @tool
    def hangs_until(self, path: str) -> None:
        """As a library that hangs: looks at nothing but the file."""
        while not os.path.exists(path):
            time.sleep(0.01)

    @tool
    def leaks(self, size: int) -> int:
        _kept.append(os.urandom(1) * size)
        return os.getpid()

    @tool
    def counts(self, n: int, seconds: float = 0) -> Any:
        for i in range(n):
            yield i
            if seconds:
                time.sleep(seconds)

    @tool
    def pids_forever(self) -> Any:
        while True:
            yield os.getpid()

    @tool
    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    @tool
    def calls_elixir(self, name: str, ctx: Context) -> Any:
        return ctx.call_elixir(name)

    @tool
    def exits(self, status: int) -> None:
        os._exit(status)
