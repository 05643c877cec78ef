"""Tools for the process tests; the misbehaving ones have honest names."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    """Well-behaved and other tools."""

    def close(self) -> None:
        marker = os.environ.get("CLOSE_MARKER")
        if marker:
            Path(marker).write_text("closed")

    @tool(idempotent=True)
    def echo(self, value: Any) -> Any:
        """Return what was sent."""
        return value

    @tool
    def type_of(self, value: Any) -> str:
        return type(value).__name__

    @tool
    def sleep(self, seconds: float) -> float:
        """Block a worker, as a C library does."""
        time.sleep(seconds)
        return seconds

    @tool
    def cooperative(self, ctx: Context) -> str:
        ctx.progress(0, None, "began")
        ctx.wait()
        ctx.check()
        return "never"

    @tool
    def raises(self, text: str = "on purpose") -> None:
        raise ValueError(text)

    @tool
    def count(self, n: int, mark: str = "") -> Any:
        """Stream the first n numbers; append a line to ``mark`` when the generator ends."""
        try:
            yield from range(n)
        finally:
            if mark:
                Path(mark).write_text("ended")
        return "counted"

    @tool
    def blobs(self, size: int) -> Any:
        """Stream blocks of bytes without end."""
        while True:
            yield bytes(size)

    @tool
    def blob(self, size: int, mark: str) -> bytes:
        """One block of bytes; ``mark`` is one byte longer then."""
        with open(mark, "ab") as file:
            file.write(b"x")
        return bytes(size)

    @tool
    def marks_its_cancel(self, mark: str, ctx: Context) -> None:
        ctx.on_cancel(lambda: Path(mark).write_text("cancelled"))
        ctx.wait()

    @tool
    def prints_everywhere(self) -> str:
        print("from print")
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
        os.write(1, b"from descriptor 1\n")
        subprocess.run(["echo", "from a child"], check=True)
        return sys.stdin.read()

    @tool
    def leaves_a_child(self) -> int:
        """Start a process that outlives the call and would hold the pipe open."""
        return subprocess.Popen(["sleep", "60"]).pid

    @tool
    def unencodable(self) -> dict[str, Any]:
        return {"scores": [1, 2, 3, threading.Lock()]}

    @tool
    def specials(self) -> list[float]:
        return [math.nan, math.inf, -math.inf, -0.0]

    @tool
    def product(self, n: int) -> Any:
        import numpy

        return numpy.eye(n, dtype="f4") * 2

    @tool
    def total(self, array: Any) -> float:
        return float(array.sum())

    @tool(serial=True)
    def alone(self) -> int:
        return threading.get_ident()

    @tool
    async def async_sleep(self, seconds: float) -> float:
        import asyncio

        await asyncio.sleep(seconds)
        return seconds

    @tool
    def logs(self, text: str, ctx: Context) -> None:
        ctx.log("info", text, number=1)
        import logging

        logging.getLogger("a.library").warning("library says %s", text)

    @tool
    def exits_at_once(self) -> None:
        os._exit(7)

    @tool
    def raises_system_exit(self) -> None:
        sys.exit(3)

    @tool
    def modules(self) -> list[str]:
        return sorted(sys.modules)
