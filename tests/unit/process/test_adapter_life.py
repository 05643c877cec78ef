"""An adapter made, set up, served and closed as a process does it: on which thread, with which variables."""

from __future__ import annotations

import asyncio
import decimal
import threading
import types
from collections import deque
from contextvars import ContextVar
from typing import Any

import pytest

from bridge import Adapter, AdapterError, ThreadSafeAdapter, tool
from bridge.calls.inline import InlineRunner, Watchdog
from bridge.process.adapter_life import close
from bridge.snakepit import adapter as snakepit
from bridge.wire import Request
from tests.waiting import in_thread, join, passed

from .served import thread

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
depth: ContextVar[int] = ContextVar("depth", default=0)


class OneThread(Adapter):
    """Says where each part of it runs."""

    def __init__(self) -> None:
        self.made = thread()
        self.threads: dict[str, int] = {}

    def setup(self) -> None:
        self.threads["setup"] = thread()

    def setup_worker(self) -> None:
        self.threads["setup_worker"] = thread()

    def close_worker(self) -> None:
        self.threads["close_worker"] = thread()

    def close(self) -> None:
        self.threads["close"] = thread()

    @tool
    def plain(self) -> int:
        return thread()

    @tool(serial=True)
    def serial(self) -> int:
        return thread()

    @tool
    def streams(self):
        yield thread()

    @tool
    async def waits(self) -> int:
        await asyncio.sleep(0)
        return thread()

    @tool
    async def streams_later(self):
        yield thread()
        await asyncio.sleep(0)
        yield thread()


class OneThreadLater(OneThread):
    async def setup(self) -> None:
        await asyncio.sleep(0)
        OneThread.setup(self)

    async def close(self) -> None:
        await asyncio.sleep(0)
        OneThread.close(self)


@pytest.mark.parametrize("kind", [OneThread, OneThreadLater])
def test_with_one_worker_everything_of_the_adapter_runs_on_one_thread(
    serve: Any, kind: Any
) -> None:
    served = serve(kind, 1)
    used = {served.call(name) for name in ("plain", "serial", "waits", "plain")}
    used |= {*served.call("streams"), *served.call("streams_later")}
    served.close()
    target = served.target
    assert list(target.threads) == ["setup", "setup_worker", "close_worker", "close"]
    assert used == {target.made, *target.threads.values()}
    assert thread() not in used


def test_with_one_worker_that_hangs_the_adapter_is_closed_all_the_same(serve: Any) -> None:
    begun, gate = threading.Event(), threading.Event()

    class Hangs(OneThread):
        @tool
        def hang(self) -> bool:
            begun.set()
            return gate.wait(20)

    served = serve(Hangs, 1)
    served.dispatcher.dispatch(Request(99, "hang", []), served.peer)
    passed(begun)
    close(served.pool, served.adapter, idle=False)
    assert served.target.threads["close"] == thread()
    gate.set()


@pytest.mark.parametrize("workers", [1, 2])
def test_asynchronous_hooks_run_on_the_loop_of_the_tools(serve: Any, workers: int) -> None:
    class Later(ThreadSafeAdapter):
        async def setup(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.ticks = 0
            self.background = asyncio.create_task(self.tick())
            await asyncio.sleep(0)

        async def tick(self) -> None:
            while True:
                self.ticks += 1
                await asyncio.sleep(0.001)

        async def close(self) -> None:
            self.background.cancel()
            self.same = self.loop is asyncio.get_running_loop()

        @tool
        async def is_same(self) -> bool:
            return self.loop is asyncio.get_running_loop()

        @tool
        async def ticked(self) -> bool:
            before = self.ticks
            while self.ticks == before:
                await asyncio.sleep(0)
            return True

    served = serve(Later, workers)
    assert served.call("is_same")
    assert served.call("ticked")
    served.close()
    assert served.target.same


class Settings(ThreadSafeAdapter):
    """Variables, set before there are calls, and changed by each of them."""

    def setup(self) -> None:
        decimal.getcontext().prec = 50
        tenant.set("acme")

    def setup_worker(self) -> None:
        depth.set(7)

    def _look(self) -> list[Any]:
        seen = [decimal.getcontext().prec, tenant.get(), depth.get()]
        decimal.getcontext().prec = 3
        tenant.set("a call's")
        depth.set(0)
        return seen

    @tool
    def plain(self) -> list[Any]:
        return self._look()

    @tool(serial=True)
    def serial(self) -> list[Any]:
        return self._look()

    @tool
    async def waits(self) -> list[Any]:
        await asyncio.sleep(0)
        return self._look()

    @tool
    def streams(self):
        yield self._look()
        assert tenant.get() == "a call's"

    @tool
    async def streams_later(self):
        yield self._look()
        assert tenant.get() == "a call's"


class SettingsLater(Settings):
    async def setup(self) -> None:
        await asyncio.sleep(0)
        Settings.setup(self)


class SettingsAtOnce(Settings):
    def __init__(self) -> None:
        Settings.setup(self)

    def setup(self) -> None:
        assert tenant.get() == "acme"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", [Settings, SettingsLater, SettingsAtOnce])
def test_what_the_set_up_left_in_variables_holds_in_each_call(
    serve: Any, kind: Any, workers: int
) -> None:
    served = serve(kind, workers)
    names = ["plain", "serial", "waits", "streams", "streams_later"] * 2
    for name in names:
        seen = served.call(name)
        streams = served.adapter.tools[name].streaming
        assert (seen[0] if streams else seen) == [50, "acme", 7], name
    assert tenant.get() == "nobody"
    assert decimal.getcontext().prec == 28


def test_it_holds_in_calls_that_run_inline(serve: Any) -> None:
    served = serve(Settings, 2)
    runner = InlineRunner(served.dispatcher, served.peer, "test-reader")
    watchdog = Watchdog(lambda term, number: None, "test")
    plain = served.dispatcher.tools["plain"]
    batch = deque([(Request(key, "plain", []), plain) for key in (1, 2)])
    join(in_thread(runner.run, batch, watchdog, 1))
    assert [served.peer.answer(key) for key in (1, 2)] == [[50, "acme", 7]] * 2


def test_what_a_module_sets_when_it_is_imported_holds_as_well(serve: Any) -> None:
    module = types.ModuleType("settings_of_a_module")
    module.seen = tool(lambda: tenant.get())  # type: ignore[attr-defined]
    token = tenant.set("the module's")
    try:
        served = serve(module, 2)
    finally:
        tenant.reset(token)
    assert served.call("seen") == "the module's"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("hook", "why"),
    [("setup", "no model"), ("setup_worker", "no model"), ("__init__", "no model")],
)
def test_what_a_hook_raises_keeps_the_bridge_from_starting(
    serve: Any, hook: str, why: str, workers: int
) -> None:
    def fail(self: object) -> None:
        raise OSError(why)

    with pytest.raises(AdapterError, match=rf"OSError: {why}"):
        serve(type("Tools", (Settings,), {hook: fail}), workers)


def test_hooks_that_would_never_run_are_refused(serve: Any) -> None:
    def generator(self: object) -> Any:
        yield

    async def coroutine(self: object) -> None:
        """Not on the thread that it should prepare."""

    for hook in ("setup", "close", "setup_worker", "close_worker"):
        with pytest.raises(AdapterError, match=rf"{hook}\(\) is a generator"):
            serve(type("Tools", (Settings,), {hook: generator}), 2)
    for hook in ("setup_worker", "close_worker"):
        with pytest.raises(AdapterError, match=rf"{hook}\(\) is an async def"):
            serve(type("Tools", (Settings,), {hook: coroutine}), 2)


@pytest.mark.parametrize("hook", ["setup", "setup_worker"])
def test_hooks_that_return_what_would_never_run_are_refused(serve: Any, hook: str) -> None:
    with pytest.raises(AdapterError, match="a generator, whose code would never run"):
        serve(type("Tools", (Settings,), {hook: lambda self: (x for x in ())}), 2)


def test_steps_of_snakepit_run_where_the_tools_do(serve: Any) -> None:
    class Tools:
        def __init__(self) -> None:
            self.made = thread()

        async def initialize(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.initialized = thread()

        async def cleanup(self) -> None:
            self.cleaned = (asyncio.get_running_loop() is self.loop, thread())

        async def execute_tool(self, tool_name: str, arguments: Any, context: Any) -> Any:
            return asyncio.get_running_loop() is self.loop, thread()

    served = serve(Tools, 1, build=snakepit.build)
    own = served.target.made
    assert served.call(snakepit.EXECUTE, "x", {}) == (True, own)
    assert served.target.initialized == own
    served.close()
    assert served.target.cleaned == (True, own)
