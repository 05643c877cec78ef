"""An adapter that writes down on which thread each of its hooks runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

from bridge import ThreadSafeAdapter, tool


def thread() -> str:
    return threading.current_thread().name


class Hooks(ThreadSafeAdapter):
    """The names of threads, in the file that ``HOOKS_FILE`` names."""

    def _note(self, what: str) -> None:
        with open(os.environ["HOOKS_FILE"], "a") as file:
            file.write(f"{what} {thread()}\n")

    def setup(self) -> None:
        self._note("setup")

    def setup_worker(self) -> None:
        self._note("setup_worker")

    def close_worker(self) -> None:
        self._note("close_worker")

    async def close(self) -> None:
        self._note("close")

    @tool
    def where(self) -> str:
        return thread()

    @tool(serial=True)
    def where_in_turn(self) -> str:
        return thread()

    @tool
    async def where_async(self) -> str:
        return thread()

    @tool
    def items(self):
        yield thread()


class Staying(ThreadSafeAdapter):
    """Has a call that does not end when it is cancelled, and notes that it is closed."""

    @tool
    async def stays(self) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        with open(os.environ["HOOKS_FILE"], "a") as file:
            file.write(f"close {thread()}\n")
