"""Adapters for the Snakepit tests: in the way of the bridge, and in that of Snakepit."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from bridge import Adapter, Context, ThreadSafeAdapter, current_context, tool

#: Long enough for a loaded machine; nothing waits so long unless it is broken.
PATIENCE_S = 20.0
MEETING = threading.Barrier(2, timeout=PATIENCE_S)
#: As many calls as the workers of a shared process.
EVERYBODY = threading.Barrier(4, timeout=PATIENCE_S)


class Tools(ThreadSafeAdapter):
    """Marked in the way of the bridge."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @tool
    def add(self, a: float, b: float = 1) -> float:
        """Add two numbers."""
        return a + b

    @tool
    def echo(self, **arguments: Any) -> Any:
        return {
            key: len(value) if isinstance(value, bytes) else value
            for key, value in arguments.items()
        }

    @tool
    def give(self, what: str) -> Any:
        return _values()[what]

    @tool
    def fail(self, message: str) -> None:
        raise ValueError(message)

    @tool
    def fail_with_surrogate(self) -> None:
        raise FileNotFoundError("file \udcff.txt")

    @tool
    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @tool
    def hang(self) -> None:
        """Does not return."""
        print("hangs")
        time.sleep(60)

    @tool
    def spin(self, seconds: float) -> float:
        """Keeps the interpreter busy."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return seconds

    @tool
    def hold(self, name: str, ctx: Context) -> None:
        """Runs until nobody waits for it any more."""
        self.lines.append(f"{name} began")
        print(f"{name} holds")
        ctx.wait()
        self.lines.append(f"{name} ended, cancelled")

    @tool
    def said(self) -> list[str]:
        """What was said since the last time."""
        said, self.lines[:] = self.lines[:], []
        return said

    @tool
    def meet(self) -> bool:
        """Two calls must run at once."""
        MEETING.wait()
        return True

    @tool
    def gather(self) -> None:
        """Four calls must run at once."""
        EVERYBODY.wait()

    @tool
    def facts(self, ctx: Context) -> dict[str, Any]:
        return {"session": ctx.session, "metadata": dict(ctx.metadata), "pid": os.getpid()}

    @tool
    def count(self, n: int) -> Iterator[int]:
        try:
            yield from range(n)
            return "what a generator returns"
        finally:
            self.lines.append("count closed")

    @tool
    def stream_of(self, what: str) -> Iterator[Any]:
        yield 1
        yield _values()[what]

    @tool
    def fail_later(self) -> Iterator[int]:
        yield 1
        raise KeyError("later")

    @tool
    def fail_at_length(self, size: int, depth: int) -> Iterator[int]:
        yield 1
        _dig(depth, "x" * size)

    @tool
    def speak(self, text: str) -> None:
        print(text)

    @tool
    def ask_elixir(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
        return ctx.call_elixir(name, **arguments)

    @tool
    def ask_elixir_nan(self, ctx: Context) -> Any:
        return ctx.call_elixir("shout", text=float("nan"))

    @tool
    def elixir_tools(self, ctx: Context) -> Any:
        return ctx.elixir_tools()

    @tool
    def term_self(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def _dig(depth: int, message: str) -> None:
    if depth:
        _dig(depth - 1, message)
    raise ValueError(message)


def _values() -> dict[str, Any]:
    return {
        "none": None,
        "true": True,
        "int": 7,
        "float": 7.0,
        "big": 2**70,
        "text": "größer",
        "bytes": b"\x00\xff\x01",
        "no bytes": b"",
        "bytes inside": {"image": [b"\x00"]},
        "nan inside": {"scores": [1.0, float("nan")]},
        "nan": float("nan"),
        "endless": _endless(),
        "object": object(),
        "broken": [Broken()],
        "large": "x" * (101 << 20),
        "set": {1},
    }


def _endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


class Broken:
    """Has a plain form, in principle."""

    def model_dump(self) -> None:
        raise LookupError("no model is loaded")


class Chunk:
    """As Snakepit's ``StreamChunk``."""

    def __init__(self, data: Any, is_final: bool = False, metadata: Any = None) -> None:
        self.data = data
        self.is_final = is_final
        self.metadata = metadata


class Classic:
    """Written for Snakepit: one method for every tool, and the steps of its life."""

    __thread_safe__ = True

    def __init__(self) -> None:
        self.session_context: Any = None
        self.steps = ["created"]

    def set_session_context(self, context: Any) -> None:
        self.steps.append("set_session_context")
        self.session_context = context

    async def initialize(self) -> None:
        await asyncio.sleep(0)
        self.steps.append(f"initialize in {self.session_context.session_id}")

    def cleanup(self) -> None:
        path = os.environ.get("TEST_CLEANUP_FILE")
        if path:
            with open(path, "w") as file:
                file.write("cleaned up")

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        method: Callable[..., Any] | None = getattr(self, f"do_{tool_name}", None)
        if method is None:
            raise AttributeError(f"no such tool: {tool_name}")
        return method(context=context, **arguments)

    def do_add(self, a: int, b: int, context: Any) -> int:
        return a + b

    def do_steps(self, context: Any) -> list[str]:
        return self.steps

    def do_session(self, context: Any) -> list[Any]:
        kept = self.session_context
        return [context.session_id, kept.session_id, context.request_metadata["correlation_id"]]

    def do_meet(self, context: Any) -> list[Any]:
        """Two sessions at once, each with its own context in one shared attribute."""
        MEETING.wait()
        found = self.session_context.session_id
        MEETING.wait()
        return [found, self.session_context.session_id]

    def do_gather(self, context: Any) -> None:
        """Four calls must run at once."""
        EVERYBODY.wait()

    def do_count(self, n: int, context: Any) -> Any:
        return ({"n": number} for number in range(n))

    def do_chunks(self, context: Any) -> Any:
        yield Chunk("a", metadata={"part": 1})
        yield Chunk("b", is_final=True)

    def do_list(self, context: Any) -> list[int]:
        return [1, 2, 3]

    def do_map(self, context: Any) -> dict[str, int]:
        return {"one": 1}

    async def do_later(self, context: Any) -> str:
        await asyncio.sleep(0)
        return "later"

    async def do_count_later(self, n: int, context: Any) -> Any:
        for number in range(n):
            await asyncio.sleep(0)
            yield number

    def do_elixir(self, context: Any) -> Any:
        return [sorted(context.elixir_tools), context.call_elixir_tool("shout", text="a")]

    def do_current(self, context: Any) -> Any:
        return current_context().tool

    def do_thread(self, context: Any, library: str = "") -> Any:
        thread = threading.current_thread()
        return [thread.name, thread is threading.main_thread()]

    def do_hang_deaf(self, context: Any) -> None:
        """The thread that it holds takes no signal: none interrupts what it waits for."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print("hangs")
        time.sleep(60)

    def do_hang(self, context: Any) -> None:
        print("hangs")
        time.sleep(60)

    def do_reference(self, context: Any, tensor: Any) -> Any:
        return [type(tensor).__module__, tensor]


class Telling:
    """Tells of events with Snakepit's own module, once when it is made and in each call."""

    def __init__(self) -> None:
        import snakepit_bridge.telemetry as telemetry

        self.telemetry: Any = telemetry

    def initialize(self) -> None:
        self.telemetry.backend.emit("python.memory.sampled", {"rss_bytes": 1})

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        correlation = self.telemetry.get_correlation_id()
        facts = {"tool": tool_name}
        self.telemetry.backend.emit("tool.result_size", {"bytes": 1}, facts, correlation)
        return correlation


class Metadata:
    def __init__(self, description: str, supports_streaming: bool) -> None:
        self.description = description
        self.supports_streaming = supports_streaming


def snakepit_tool(description: str = "", supports_streaming: bool = False) -> Any:
    """As Snakepit's ``@tool``."""

    def mark(function: Any) -> Any:
        function._tool_metadata = Metadata(description, supports_streaming)
        return function

    return mark


class Marked:
    """Written for Snakepit, with tools that are marked and nothing that finds them."""

    __thread_safe__ = True

    @snakepit_tool(description="Doubles a number")
    def double(self, number: int, times: int = 1) -> int:
        return number * 2**times

    @snakepit_tool(supports_streaming=True)
    def letters(self, text: str) -> Any:
        return iter(text)


class MarkedClassic(Marked):
    """Both: the marks describe, the method runs."""

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        return getattr(self, tool_name)(**arguments)


class NotThreadSafe:
    """One call at a time on an instance."""

    def __init__(self) -> None:
        self.calls = 0
        self.running = 0

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        if tool_name == "endless":
            return iter(int, 1)
        if tool_name == "hang":
            print("hangs")
            time.sleep(60)
        if tool_name == "quick":
            return "quick"
        self.calls += 1
        self.running += 1
        time.sleep(0.001)  # a barrier here would wait for who may not come
        alone, self.running = self.running == 1, self.running - 1
        return [id(self), self.calls, alone]


class OneAtATime(Adapter):
    """The same in the way of the bridge."""

    @tool
    def hang(self) -> None:
        print("hangs")
        time.sleep(60)

    @tool
    def quick(self) -> str:
        return "quick"


class Racy:
    """Says that it is thread-safe, and is not."""

    __thread_safe__ = True

    def __init__(self) -> None:
        self.count = 0

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> int:
        before = self.count
        time.sleep(0.01)  # a barrier here would bring order
        self.count = before + 1
        return self.count


class FailsToStart:
    __thread_safe__ = True

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        return None

    def initialize(self) -> None:
        raise OSError("the model file is missing")
