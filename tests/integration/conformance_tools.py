"""Tools that behave alike on every transport, and the place where a test meets them.

A tool that is given a ``meeting`` calls the test there and blocks in a system call until the test
answers, as a C library does. So a test knows who runs, and decides who goes on, however busy the
bridge is.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import math
import os
import socket
import sys
import threading
from collections.abc import Generator, Iterator
from typing import Any

from bridge import CallError, Context, ThreadSafeAdapter, current_context, tool

#: Long enough for a loaded machine; nothing waits so long unless it is broken.
PATIENCE_S = 20.0
_seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class Line:
    """A tool's end of a meeting: it says who it is, says more, hears words."""

    def __init__(self, meeting: int, name: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", meeting))
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self.say(name)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._socket.close()

    def say(self, word: object) -> None:
        self._file.write(f"{word}\n")
        self._file.flush()

    def hear(self) -> str:
        """The next word of the test; empty if it is gone."""
        return self._file.readline().rstrip("\n")


class Visitor:
    """The test's end: what one tool says."""

    def __init__(self, connection: socket.socket, changed: threading.Condition) -> None:
        self._socket = connection
        self._changed = changed
        self.name: str | None = None
        self.heard: list[str] = []
        self.gone = False

    def read(self) -> None:
        with self._socket.makefile("r", encoding="utf-8") as file:
            try:
                for line in file:
                    with self._changed:
                        if self.name is None:
                            self.name = line.rstrip("\n")
                        else:
                            self.heard.append(line.rstrip("\n"))
                        self._changed.notify_all()
            except OSError:
                pass  # the process was killed
        with self._changed:
            self.gone = True
            self._changed.notify_all()

    def go(self, word: str = "go") -> None:
        """Let the tool go on, with a word that it may return."""
        self._socket.sendall(f"{word}\n".encode())

    def hears(self, count: int = 1) -> str:
        """Wait until the tool has said so many words; returns the last of these."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            assert came, f"{self.name} said only {self.heard}"
            return self.heard[count - 1]

    def leaves(self) -> list[str]:
        """Wait until the tool has hung up; returns all that it said."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.gone, PATIENCE_S), f"{self.name} stays"
            return self.heard

    def hang_up(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


class Meeting:
    """Where tools call a test. ``port`` is what they are given."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._changed = threading.Condition()
        self._visitors: list[Visitor] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            visitor = Visitor(connection, self._changed)
            with self._changed:
                self._visitors.append(visitor)
            threading.Thread(target=visitor.read, daemon=True).start()

    def visitor(self, name: str) -> Visitor:
        """Wait for the tool that calls itself so."""
        with self._changed:
            came = self._changed.wait_for(lambda: name in self._names(), PATIENCE_S)
            assert came, f"{name} does not come; there are {self._names()}"
            return next(visitor for visitor in self._visitors if visitor.name == name)

    def names(self) -> list[str]:
        """Who has come so far, in order."""
        with self._changed:
            return [name for name in self._names() if name is not None]

    def _names(self) -> list[str | None]:
        return [visitor.name for visitor in self._visitors]

    def close(self) -> None:
        """Hang up, so that no tool waits any longer."""
        try:
            self._server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._server.close()
        with self._changed:
            visitors = list(self._visitors)
        for visitor in visitors:
            visitor.hang_up()


class Odd(Exception):
    """An exception whose traceback and message are as long as one likes."""


class Refused(CallError):
    """A tool's own kind of ``CallError``."""

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} may not", code="permission_denied", details={"who": who})


class Tools(ThreadSafeAdapter):
    def setup(self) -> None:
        self._inside = 0
        self._most = 0
        self._counting = threading.Lock()
        self._pairs: dict[str, asyncio.Barrier] = {}

    # -- values -----------------------------------------------------------------------------

    @tool
    def spin(self) -> None:
        while True:
            pass

    @tool(idempotent=True)
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def nothing(self) -> None:
        """Takes nothing and returns nothing."""

    @tool
    def given(self, *args: Any, **kwargs: Any) -> str:
        """What the arguments are to Python."""
        return repr((args, kwargs))

    @tool
    def defaults(self, a: int, b: str = "b", *, c: float = 1.5, d: Any = None) -> list[Any]:
        """Every kind of parameter."""
        return [a, b, c, d]

    @tool
    def rich(self) -> dict[str, Any]:
        """Values of every kind that Python sends, though no message has them."""
        import enum
        import uuid
        from dataclasses import dataclass
        from decimal import Decimal
        from pathlib import PurePosixPath

        import numpy

        @dataclass
        class Point:
            x: int
            y: float

        class Colour(enum.Enum):
            RED = "red"

        return {
            "dataclass": Point(1, 2.5),
            "enum": Colour.RED,
            "set": {1},
            "tuple": (1, "two"),
            "decimal": Decimal("1.10"),
            "uuid": uuid.UUID(int=1),
            "path": PurePosixPath("/a/b"),
            "date": datetime.date(2026, 11, 23),
            "duration": datetime.timedelta(milliseconds=1500),
            "naive": datetime.datetime(2026, 11, 23, 12),
            "scalar": numpy.float32(0.5),
            "range": range(3),
        }

    @tool
    def special(self) -> dict[str, Any]:
        """What JSON lacks."""
        import numpy

        return {
            "nan": math.nan,
            "up": math.inf,
            "down": -math.inf,
            "big": 2**53 + 1,
            "exact": 2**53,
            "huge": -(2**70),
            "bytes": b"\x00\xff",
            "time": datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC),
            "array": numpy.arange(4, dtype="f4").reshape(2, 2),
            "keys": {2: "int", None: "none", True: "true", b"\x01": "bytes"},
        }

    @tool
    def nested(self, levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels - 1):
            value = [value]
        return value

    @tool
    def total(self, array: Any) -> float:
        return float(array.sum())

    @tool
    def zeros(self, size: int) -> bytes:
        return bytes(size)

    @tool
    def length(self, value: Any) -> int:
        return len(value)

    # -- errors -----------------------------------------------------------------------------

    @tool
    def raises(self, text: str) -> None:
        raise ValueError(text)

    @tool
    def raises_from_deep(self, depth: int, message_bytes: int) -> None:
        """A traceback of many long lines, and a long message."""
        # one line of source would be folded into "repeated n times"
        source = "".join(f"def f{n}():\n    f{n + 1}()  # {'x' * 200}\n" for n in range(depth)) + (
            f"def f{depth}(): raise Odd('ä' * {message_bytes // 2})\n"
        )
        names: dict[str, Any] = {"Odd": Odd}
        exec(compile(source, f"{'long_name' * 20}.py", "exec"), names)
        names["f0"]()

    @tool
    def raises_fat(self, code: str, text: str) -> None:
        """Everything that an error has, and much of it."""
        raise CallError(
            text * 100_000,
            code=code,
            type="module." + text * 1000,
            traceback=[text * 50] * 1000,
            details={text: text * 100, "n": [1] * 20},
        )

    @tool
    def raises_surrogate(self) -> None:
        raise ValueError("a lone \ud800")

    @tool
    def raises_call_error(self, code: str, text: str, details: Any = None) -> None:
        raise CallError(text, code=code, details=details)

    @tool
    def refuses(self, who: str) -> None:
        raise Refused(who)

    @tool
    def raises_system_exit(self) -> None:
        sys.exit(3)

    @tool
    def raises_keyboard_interrupt(self) -> None:
        raise KeyboardInterrupt("not a real one")

    @tool
    def unencodable(self) -> dict[str, Any]:
        return {"scores": [1, 2, 3, threading.Lock()]}

    @tool
    def unencodable_after_a_time(self) -> dict[str, Any]:
        return {"when": datetime.datetime.now(datetime.UTC), "lock": threading.Lock()}

    @tool
    def yields_unencodable(self) -> Iterator[Any]:
        yield 1
        yield {"scores": [threading.Lock()]}

    # -- calls that meet the test -------------------------------------------------------------

    @tool
    def meet(self, meeting: int, name: str) -> str:
        """Block until the test says a word, and return it. Ignores that it is cancelled."""
        with Line(meeting, name) as line:
            return line.hear()

    @tool
    def meet_while_encoded(self, meeting: int, name: str) -> Any:
        """As ``meet``, but while what it returned is made plain."""

        class Result:
            def model_dump(self) -> Any:
                with Line(meeting, name) as line:
                    return {"heard": line.hear()}

        return Result()

    @tool(serial=True)
    def meet_alone(self, meeting: int, name: str) -> int:
        """As ``meet``, but one at a time; returns how many were here at most so far."""
        with self._counting:
            self._inside += 1
            self._most = max(self._most, self._inside)
        try:
            with Line(meeting, name) as line:
                line.hear()
            return self._most
        finally:
            with self._counting:
                self._inside -= 1

    @tool(serial=True)
    def quick_alone(self) -> bool:
        """Was nobody else here?"""
        with self._counting:
            self._inside += 1
        alone = self._inside == 1
        with self._counting:
            self._inside -= 1
        return alone

    @tool(serial=True)
    def stream_alone(self, meeting: int, name: str) -> Iterator[str]:
        with Line(meeting, name) as line:
            yield name
            line.hear()

    @tool
    def until_interrupted(self, meeting: int, name: str, ctx: Context) -> str:
        """Say the time that is left, wait until nobody waits any more, and say why."""
        with Line(meeting, name) as line:
            line.say(ctx.time_remaining())
            ctx.wait()
            try:
                ctx.check()
            except CallError as error:
                line.say(f"{type(error).__name__} {error.code} {ctx.cancelled}")
                raise
            return "nobody interrupted it"

    @tool
    def tells_of_cancel(self, meeting: int, name: str, ctx: Context) -> str:
        """Say that ``on_cancel`` was called; returns late, and what nobody hears."""
        with Line(meeting, name) as line:
            ctx.on_cancel(lambda: line.say("on_cancel"))
            return line.hear()

    @tool
    def ends_when_interrupted(self, meeting: int, name: str, ctx: Context) -> str:
        """Return as soon as the call is interrupted, while whoever did it is held up."""
        line, over = Line(meeting, name), threading.Event()

        def hold_up() -> None:
            with line:
                over.set()
                line.say("interrupted")
                line.hear()

        class Frame:
            """Of this function: it goes when that has returned."""

            def __del__(self) -> None:
                with Line(meeting, f"{name} has returned"):
                    pass

        _frame = Frame()
        ctx.on_cancel(hold_up)
        over.wait(PATIENCE_S)
        return "what nobody waits for"

    # -- streams ----------------------------------------------------------------------------

    @tool
    def count(self, n: int) -> Generator[int, None, str]:
        """Stream the first n numbers."""
        yield from range(n)
        return "counted"

    @tool
    def stream_of(self, values: list[Any]) -> Iterator[Any]:
        yield from values

    @tool
    def stream_doubled(self, values: list[bytes]) -> Iterator[bytes]:
        for value in values:
            yield value * 2

    @tool
    def speaks_later(self, meeting: int, name: str, ctx: Context) -> Iterator[None]:
        """A stream without items, whose tool left a thread behind that has more to say."""

        def speak() -> None:
            with Line(meeting, name) as line:
                line.hear()
                ctx.progress(1, 2, "too late")
                ctx.log("warning", "too late")
                line.say("spoke")

        threading.Thread(target=speak, daemon=True).start()
        yield from ()

    @tool
    def sizes(self, meeting: int, name: str, size: int) -> Iterator[bytes]:
        """Stream blocks without end. Say how many it made, and how it ended."""
        with Line(meeting, name) as line:
            try:
                made = 0
                while True:
                    made += 1
                    line.say(made)
                    yield bytes(size)
            except BaseException as error:
                line.say(type(error).__name__)
                raise
            finally:
                line.say("finally")

    @tool
    def fails_in_the_middle(self, good: int) -> Iterator[int]:
        yield from range(good)
        raise ValueError("in the middle")

    @tool
    def steps(self, n: int, ctx: Context) -> Iterator[int]:
        """Progress and a log line before each item."""
        for number in range(n):
            ctx.progress(number, n, f"step {number}")
            ctx.log("info", f"log {number}", number=number, nested={"list": [1, None, "x"]})
            yield number
        ctx.progress(n)

    @tool
    def notes_without_end(self, meeting: int, name: str, ctx: Context) -> Iterator[int]:
        """Say much beside a stream that has no items."""
        with Line(meeting, name) as line:
            for number in range(5000):
                ctx.progress(number, None, "x" * 1000)
            line.say("said all")
            line.hear()
        yield 1

    @tool
    def odd_notes(self, ctx: Context) -> list[str]:
        """Say what cannot be sent as it is; returns what was raised, which should be nothing."""
        import numpy

        raised = []
        for speak in (
            lambda: ctx.progress(1, 2, "lone \ud800"),
            lambda: ctx.progress(numpy.float32(0.5), numpy.int64(2)),
            lambda: ctx.progress(math.nan, math.inf, ""),
            lambda: ctx.log("info", "lone \ud800"),
            lambda: ctx.log("info", "x", **{"lone \ud800": 1}),
            lambda: ctx.log("info", "x", field="lone \ud800"),
            lambda: ctx.log("info", "x", lock=threading.Lock()),
            lambda: ctx.log("info", "x", big=2**70, nan=math.nan, data=b"\xff"),
            lambda: ctx.log("info", "x" * 100_000),
            lambda: ctx.log("loud", "x"),
        ):
            try:
                speak()
            except Exception as error:
                raised.append(f"{type(error).__name__}: {error}")
        return raised

    @tool
    def surrogate_key(self) -> dict[str, int]:
        return {"lone \ud800": 1}

    @tool(serial=True)
    def surrogate_key_alone(self) -> dict[str, int]:
        return {"lone \ud800": 1}

    @tool
    def plain_with_progress(self, ctx: Context) -> str:
        ctx.progress(1, 2, "half")
        ctx.log("warning", "careful")
        return "done"

    # -- async ------------------------------------------------------------------------------

    @tool
    async def async_pair(self, name: str) -> str:
        """Returns once a second call of the same name is here, too."""
        barrier = self._pairs.setdefault(name, asyncio.Barrier(2))
        await asyncio.wait_for(barrier.wait(), PATIENCE_S)
        return current_context().tool

    @tool
    async def async_until_cancelled(self, meeting: int, name: str) -> None:
        with Line(meeting, name) as line:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                line.say("CancelledError")
                raise

    @tool
    async def async_blocks_everybody(self, meeting: int, name: str) -> str:
        """Hold the one event loop up until the test says a word."""
        with Line(meeting, name) as line:
            return line.hear()

    @tool
    async def async_count(self, n: int) -> Any:
        for number in range(n):
            await asyncio.sleep(0)
            yield number

    @tool
    async def async_raises(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("async")

    # -- what a call looks like from inside ---------------------------------------------------

    @tool
    def facts(self, ctx: Context) -> dict[str, Any]:
        """All that a tool can find out about its call."""
        before = _seen.get()
        _seen.set("an earlier call")
        thread = threading.current_thread()
        return {
            "variable": before,
            "same": current_context().id == ctx.id,
            "id": type(ctx.id).__name__,
            "tool": ctx.tool,
            "session": ctx.session,
            "metadata": sorted(ctx.metadata.items()),
            "metadata_type": type(ctx.metadata).__name__,
            "remaining": ctx.time_remaining(),
            "cancelled": ctx.cancelled,
            "repr": repr(ctx),
            "thread": thread.name.rstrip("0123456789"),
            "daemon": thread.daemon,
            "asyncio": _has_loop(),
            "cwd": os.getcwd(),
        }

    @tool
    def thread_count(self) -> int:
        """Of the whole process, gRPC's own included."""
        return len(os.listdir("/proc/self/task"))

    @tool
    def memory_bytes(self) -> int:
        """What the process occupies, as the system sees it, without what is free in it."""
        import ctypes
        import gc

        gc.collect()
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:  # glibc keeps what was freed, now more, now less
            give_back(0)
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @tool
    def modules(self) -> list[str]:
        return sorted(sys.modules)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
