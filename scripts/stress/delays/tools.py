"""What the copy serves. Each call has a token, which its answer contains; none may run twice."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from bridge import Context, Interrupted, ThreadSafeAdapter, tool

#: A loop that is not ended by then never will be.
_ENDLESS_S = 15.0


class Tools(ThreadSafeAdapter):
    """Quick and slow, with everything that the bridge does while a tool runs."""

    def setup(self) -> None:
        self._lock = threading.Lock()
        self._ran: set[int] = set()
        self._twice: list[int] = []
        self._inside = 0
        self._loops = [0, 0]  # begun, ended
        self._faults: list[str] = []

    def _note(self, token: int) -> None:
        with self._lock:
            if token in self._ran:
                self._twice.append(token)
            self._ran.add(token)

    @tool
    def account(self) -> dict[str, Any]:
        """What has become of all calls."""
        with self._lock:
            return {
                "ran": sorted(self._ran),
                "twice": self._twice,
                "loops": self._loops,
                "faults": self._faults,
            }

    @tool
    def quick(self, token: int) -> int:
        self._note(token)
        return token

    @tool
    def sometimes_slow(self, token: int, seconds: float) -> int:
        """Becomes quick, and is not."""
        self._note(token)
        if seconds:
            time.sleep(seconds)
        return token

    @tool
    def sleeps(self, token: int, seconds: float) -> int:
        self._note(token)
        time.sleep(seconds)
        return token

    @tool
    def computes(self, token: int, steps: int) -> list[int]:
        self._note(token)
        total = 0
        for step in range(steps):
            total += step
        return [token, total]

    @tool(interruptible=True)
    def loops(self, token: int) -> None:
        """Goes on until it is ended by force."""
        self._note(token)
        with self._lock:
            self._loops[0] += 1
        try:
            end = time.monotonic() + _ENDLESS_S
            # not "while CONDITION": Python 3.13 jumps back outside of the try
            while True:
                if time.monotonic() > end:
                    break
            self._faults.append(f"{token} was not interrupted")
        except Interrupted:
            raise
        except BaseException as error:
            self._faults.append(f"{token} got {error!r}")
            raise
        finally:
            self._loops[1] += 1

    @tool(interruptible=True)
    def counts_on(self, token: int, ctx: Context) -> int:
        """May be ended by force, but also ends soon, and reports meanwhile: outside and inside."""
        self._note(token)
        for step in range(20):
            ctx.progress(step, 20, str(token))
        return token

    @tool(max_concurrency=1)
    def alone(self, token: int) -> list[int]:
        self._note(token)
        self._inside += 1
        time.sleep(0)
        inside = self._inside
        self._inside -= 1
        return [token, inside]

    @tool
    def waits(self, token: int, seconds: float, ctx: Context) -> int:
        self._note(token)
        ctx.wait(seconds)
        return token

    @tool
    def items(self, token: int, count: int) -> Iterator[list[int]]:
        self._note(token)
        for number in range(count):
            yield [token, number]
        return token

    @tool
    async def naps(self, token: int, seconds: float) -> int:
        self._note(token)
        await asyncio.sleep(seconds)
        return token

    @tool
    async def items_later(self, token: int, count: int) -> AsyncIterator[list[int]]:
        self._note(token)
        for number in range(count):
            await asyncio.sleep(0)
            yield [token, number]

    @tool
    def asks_back(self, token: int, function: str, ctx: Context) -> int:
        """Has the caller answer, which may call a tool for that."""
        self._note(token)
        return int(ctx.call_elixir(function, token))

    @tool
    async def asks_back_later(self, token: int, function: str, ctx: Context) -> int:
        self._note(token)
        return int(await ctx.acall_elixir(function, token))
