"""The tools of the soak: each returns, says or raises the signature of the call it was called by."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

from bridge import CallError, Context, ThreadSafeAdapter, tool
from scripts.stress.fuzz.hostile_tools import VALUES

_MASK = 0x5A5A5A


def sign(caller: str, token: int) -> str:
    """What only the answer to this call of this caller can contain: both, but not as they came."""
    return f"{token ^ _MASK:x}.{caller[::-1]}"


def crunch(steps: int) -> int:
    """Work for a CPU, about 60 ns a step."""
    total = 0
    for step in range(steps):
        total += step * step % 7
    return total


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc: see mallinfo(3). Sums over all arenas."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            [
                "arena",
                "ordblks",
                "smblks",
                "hblks",
                "hblkhd",
                "usmblks",
                "fsmblks",
                "uordblks",
                "fordblks",
                "keepcost",
            ]
        )
    ]


class Tools(ThreadSafeAdapter):
    """Quick and slow, serial and async, well-behaved and not."""

    def setup(self) -> None:
        self._inside = 0
        try:
            self._mallinfo: Any = ctypes.CDLL(None).mallinfo2
            self._mallinfo.restype = _Mallinfo
        except AttributeError:
            self._mallinfo = None  # not glibc, or an old one

    @tool
    def memory(self) -> dict[str, float]:
        """Python's blocks of up to 512 bytes; malloc's MB in use, and kept for later; all of Python."""
        report: dict[str, float] = {"blocks": sys.getallocatedblocks()}
        if self._mallinfo is not None:
            info = self._mallinfo()
            report["malloc_used_mb"] = (info.uordblks + info.hblkhd) / 2**20
            report["malloc_free_mb"] = info.fordblks / 2**20
        if tracemalloc.is_tracing():  # PYTHONTRACEMALLOC=1 scripts/soak 1
            report["traced_mb"] = tracemalloc.get_traced_memory()[0] / 2**20
        return report

    @tool
    def echo(self, caller: str, token: int, data: bytes) -> list[Any]:
        return [sign(caller, token), data]

    @tool
    def crunches(self, caller: str, token: int, steps: int) -> list[Any]:
        return [sign(caller, token), crunch(steps)]

    @tool
    def sleeps(self, caller: str, token: int, seconds: float) -> list[Any]:
        """Does not look whether it is cancelled."""
        time.sleep(seconds)
        return [sign(caller, token)]

    @tool
    def waits(self, caller: str, token: int, seconds: float, ctx: Context) -> list[Any]:
        """Looks whether it is cancelled."""
        ctx.wait(seconds)
        return [sign(caller, token)]

    # -- tools that turn slow: the caller decides when ---------------------------------------

    @tool
    def turns_often(self, caller: str, token: int, seconds: float = 0) -> list[Any]:
        if seconds:
            time.sleep(seconds)
        return [sign(caller, token)]

    @tool
    def turns_seldom(self, caller: str, token: int, seconds: float = 0) -> list[Any]:
        if seconds:
            time.sleep(seconds)
        return [sign(caller, token)]

    @tool
    def turns_busy(self, caller: str, token: int, seconds: float = 0) -> list[Any]:
        end = time.monotonic() + seconds
        while seconds and time.monotonic() < end:
            pass
        return [sign(caller, token)]

    # -- tools that go wrong ----------------------------------------------------------------

    @tool
    def raises(self, caller: str, token: int) -> None:
        raise ValueError(sign(caller, token))

    @tool
    def refuses(self, caller: str, token: int) -> None:
        raise CallError(sign(caller, token), code="failed_precondition")

    @tool
    def returns_unencodable(self, caller: str, token: int) -> list[Any]:
        return [sign(caller, token), object()]

    @tool
    def returns_hostile(self, caller: str, token: int, kind: str) -> Any:
        """What breaks when it is encoded, or when somebody wants to say why."""
        return VALUES[kind]()

    @tool
    def reports_from_a_thread(self, caller: str, token: int, ctx: Context) -> list[Any]:
        """Its thread reports while the answer is given."""
        signature = sign(caller, token)
        going = threading.Event()

        def report() -> None:
            going.set()
            for step in range(20):
                ctx.progress(step, 20, signature)

        threading.Thread(target=report).start()
        going.wait()
        return [signature]

    # -- tools with something special -------------------------------------------------------

    @tool(serial=True)
    def alone(self, caller: str, token: int) -> list[Any]:
        """Says how many calls of it run: always one."""
        self._inside += 1
        time.sleep(0)
        inside = self._inside
        self._inside -= 1
        return [sign(caller, token), inside]

    @tool
    async def naps(self, caller: str, token: int, seconds: float) -> list[Any]:
        await asyncio.sleep(seconds)
        return [sign(caller, token)]

    @tool
    def asks(self, caller: str, token: int, ctx: Context) -> list[Any]:
        """Says what the bridge knows of its caller."""
        return [sign(caller, token), ctx.session]

    @tool
    def talks(self, caller: str, token: int, lines: int, ctx: Context) -> list[Any]:
        """Progress and log lines, each with the signature."""
        signature = sign(caller, token)
        for line in range(lines):
            ctx.progress(line, lines, signature)
            ctx.log("info", signature, line=line)
        return [signature]

    @tool
    def counts(self, caller: str, token: int, count: int) -> Iterator[Any]:
        signature = sign(caller, token)
        for number in range(count):
            yield [signature, number]
        return [signature]

    @tool
    async def counts_async(self, caller: str, token: int, count: int) -> AsyncIterator[Any]:
        signature = sign(caller, token)
        for number in range(count):
            await asyncio.sleep(0)
            yield [signature, number]
