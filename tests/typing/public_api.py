# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers and editors make of the public names. It is checked, not run.

``scripts/check`` has mypy and pyright read it: each ``assert_type`` must hold for both, and each
line with an ignore must be an error for both.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import Any, assert_type

from bridge import (
    Adapter,
    CallError,
    Cancelled,
    Context,
    RequestTracker,
    ThreadLocalStorage,
    ThreadSafeAdapter,
    current_context,
    thread_safe_method,
    tool,
)
from bridge.testing import ConnectionPair, PortPeer
from bridge.testing.erlang.elixir_peer import ElixirPeer
from bridge.testing.pytest_plugin import BridgeStarter
from bridge.thread_safety import Report, ThreadSafetyChecker, check_adapter


class Tools(ThreadSafeAdapter):
    """Methods of every kind; each is called below."""

    def __init__(self, scale: int = 1) -> None:
        self.scale = scale

    @tool
    def add(self, a: int, b: int = 0) -> int:
        return (a + b) * self.scale

    @tool(name="half", description="Halves.", serial=True, examples=[[1], {"number": 2}])
    @thread_safe_method
    def halve(self, number: float) -> float:
        return number / 2

    @tool
    def count(self, ctx: Context, until: int) -> Iterator[int]:
        for number in range(until):
            ctx.check()
            yield number

    @tool
    def countdown(self, start: int) -> Generator[int, None, str]:
        yield start
        return "lift-off"

    @tool(stream=True)
    async def tick(self) -> AsyncIterator[str]:
        yield "tick"

    @tool
    async def fetch(self, key: str) -> bytes:
        return key.encode()

    @tool
    @staticmethod
    def parse(text: str) -> list[str]:
        return text.split()

    @tool
    @classmethod
    def made(cls) -> str:
        return cls.__name__


class OneAtATime(Adapter):
    __thread_safe__ = False

    @tool
    def name(self) -> str:
        return "one"


@tool
def double(number: int) -> int:
    return number * 2


def tools_stay_functions() -> None:
    tools = Tools(2)
    assert_type(tools, Tools)
    assert_type(tools.scale, int)
    assert_type(tools.add(1, 2), int)
    assert_type(tools.halve(1.0), float)
    assert_type(tools.parse("a b"), list[str])
    assert_type(tools.made(), str)
    assert_type(OneAtATime().name(), str)
    assert_type(double(1), int)
    tools.add("1", 2)  # type: ignore[arg-type]
    tools.halve()  # type: ignore[call-arg]
    double(number="1")  # type: ignore[arg-type]
    tool(3)  # type: ignore[call-overload]


async def streams_are_iterators(tools: Tools, ctx: Context) -> None:
    assert_type(tools.count(ctx, 3), Iterator[int])
    assert_type(tools.countdown(3), Generator[int, None, str])
    assert_type(tools.tick(), AsyncIterator[str])
    assert_type(await tools.fetch("a"), bytes)


def means_of_a_thread_safe_adapter(tools: Tools) -> None:
    assert_type(tools.acquire_lock(), threading.RLock)
    with tools.acquire_lock():
        pass
    assert_type(tools.get_thread_local("buffer"), Any)
    assert_type(tools.request_tracker, RequestTracker)
    assert_type(tools.get_stats(), dict[str, Any])
    assert_type(ThreadLocalStorage().get("key", 1), Any)


def context_of_a_call(ctx: Context) -> None:
    assert_type(current_context(), Context)
    assert_type(ctx.id, int)
    assert_type(ctx.tool, str)
    assert_type(ctx.session, str | None)
    assert_type(ctx.metadata, Mapping[str, str])
    assert_type(ctx.cancelled, bool)
    assert_type(ctx.time_remaining(), float | None)
    assert_type(ctx.wait(0.1), bool)
    assert_type(ctx.call_elixir("price", item="tea"), Any)
    assert_type(ctx.elixir_tools(), dict[str, dict[str, Any]])
    callback: Callable[[], object] = threading.Event().set
    ctx.on_cancel(callback)
    ctx.progress(1, 10, "reading")
    ctx.log("info", "read", lines=10)
    ctx.progress("half")  # type: ignore[arg-type]
    ctx.id = 3  # type: ignore[misc]


def errors(error: CallError) -> None:
    assert_type(error.code, str)
    assert_type(error.traceback, list[str] | None)
    assert_type(error.started, bool | None)
    assert_type(CallError.from_wire({"code": "aborted", "message": "no"}), CallError)
    assert_type(Cancelled("enough").to_wire(), dict[str, Any])
    CallError("no", started="yes")  # type: ignore[arg-type]


def peers_of_tests(bridge_adapter: BridgeStarter) -> None:
    with PortPeer("--adapter", "my_tools:Tools") as peer:
        assert_type(peer, PortPeer)
        assert_type(peer.call("add", [1, 2], timeout_ms=100), Any)
        assert_type(peer.request("add", {"a": 1}), int)
        assert_type(peer.stream("count", [3]), Generator[Any, None, Any])
        assert_type(peer.ready, dict[str, Any] | None)
    with ElixirPeer() as elixir:
        assert_type(elixir, ElixirPeer)
    assert_type(bridge_adapter("my_tools:Tools", "--max-workers", "4"), PortPeer)
    assert_type(ConnectionPair().receive(b""), list[Any])


def the_race_check() -> None:
    with ThreadSafetyChecker(strict=True) as checker:
        assert_type(checker, ThreadSafetyChecker)
        assert_type(checker.watch(Tools()), Tools)
    assert_type(checker.report(), Report)
    assert_type(checker.get_report(), dict[str, Any])
    assert_type(check_adapter("my_tools:Tools", threads=2), Report)
