"""Tools for the tests of the Elixir client. Each is named after what it does."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from typing import Any

from bridge import Context, ThreadSafeAdapter, tool


class FixtureTools(ThreadSafeAdapter):
    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def type_of(self, value: Any) -> str:
        return type(value).__name__

    @tool
    def are_equal(self, one: Any, other: Any) -> bool:
        """Would a dict hold them for one key?"""
        return one == other and hash(one) == hash(other)

    @tool
    def sleep(self, seconds: float, value: Any = None) -> Any:
        """Sleep without looking at the call: the worker stays occupied."""
        time.sleep(seconds)
        return value

    @tool
    def wait(self, seconds: float, ctx: Context) -> bool:
        """Sleep, but no longer than anybody waits."""
        return ctx.wait(seconds)

    @tool
    def never_returns(self, ctx: Context) -> None:
        ctx.wait(None)

    @tool
    def what_it_sees(self, ctx: Context) -> dict[str, Any]:
        return {
            "session": ctx.session,
            "metadata": dict(ctx.metadata),
            "seconds_left": ctx.time_remaining(),
        }

    @tool
    def raises(self, message: str) -> None:
        raise ValueError(message)

    @tool
    def returns_unencodable(self) -> Any:
        return {"scores": [1, object()]}

    @tool
    def returns_unknown_extension(self) -> Any:
        import msgpack

        return msgpack.ExtType(77, b"?")

    @tool
    def odd_floats(self) -> list[float]:
        return [float("nan"), float("inf"), float("-inf"), -0.0]

    @tool
    def tensor(self, n: int) -> Any:
        import numpy

        return numpy.arange(n, dtype="float32").reshape(1, n)

    @tool
    def doubles_tensor(self, tensor: Any) -> Any:
        return tensor * 2

    @tool
    def reports_progress(self, n: int, ctx: Context) -> int:
        for done in range(1, n + 1):
            ctx.progress(done, n, f"step {done}")
        return n

    @tool
    def reports_progress_forever(self, ctx: Context) -> None:
        while not ctx.wait(0.001):
            ctx.progress(1)

    @tool
    def logs(self, text: str, ctx: Context) -> None:
        ctx.log("warning", text, answer=42)

    @tool
    def counts(self, n: int) -> Any:
        yield from range(n)
        return "the return value"

    @tool
    def counts_then_raises(self, n: int) -> Any:
        yield from range(n)
        raise RuntimeError("after the last item")

    @tool
    def counts_slowly(self, n: int, seconds: float, ctx: Context) -> Any:
        for i in range(n):
            yield i
            ctx.wait(seconds)

    @tool
    def endless(self, marker: str, size: int = 0) -> Any:
        """Count for ever, and write how far it came to the file ``marker`` when closed."""
        count = 0
        try:
            while True:
                yield {"count": count, "ballast": b"x" * size}
                count += 1
        finally:
            with open(marker + ".part", "w") as file:
                file.write(str(count))
            os.replace(marker + ".part", marker)

    @tool
    def prints_everywhere(self, text: str) -> str:
        """Print from Python, from C and from a child process."""
        print(text, flush=True)
        libc = ctypes.CDLL(None)
        libc.puts(text.encode())
        libc.fflush(None)
        subprocess.run(["echo", text], check=True)
        return text

    @tool
    def starts_child(self) -> int:
        """Start a process that outlives the call; returns its process id."""
        return subprocess.Popen(["sleep", "600"]).pid

    @tool
    def exits(self) -> None:
        os._exit(0)


class FailsToStart(FixtureTools):
    def setup(self) -> None:
        raise RuntimeError("the model file is missing")


class StartsSlowly(FixtureTools):
    def setup(self) -> None:
        with open(os.environ["FIXTURE_PID_FILE"], "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)


class StartsWhenTold(FixtureTools):
    def setup(self) -> None:
        """Wait until the file that the environment names is there."""
        while not os.path.exists(os.environ["FIXTURE_START_FILE"]):
            time.sleep(0.01)
