"""Where every tool is: what is shown of the threads that run tools, and what is not."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bridge import tool
from bridge.calls import InlineRunner, Watchdog
from bridge.calls.stacks import show_stacks
from bridge.wire.messages import Request
from tests.tool_bench import Bench
from tests.waiting import in_thread, join, passed, wait_until

#: For tests of stacks: without the GIL they cannot be read.
readable = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="the GIL is off"
)


class Deep:
    """Tools that wait for ``leave`` below some frames of their own."""

    def __init__(self) -> None:
        self.started, self.leave = threading.Semaphore(0), threading.Event()

        @tool
        def work(secret: str, depth: int = 1) -> None:
            self.go_down(secret, depth)

        @tool
        def items(secret: str) -> Iterator[str]:
            self.go_down(secret, 1)
            yield secret

        @tool
        async def sleeps(secret: str) -> None:
            await self.sleep(secret)

        @tool
        async def later(secret: str) -> AsyncIterator[str]:
            await self.sleep(secret)
            yield secret

        @tool
        async def blocks(secret: str) -> None:
            self.go_down(secret, 1)

        self.bench = Bench(work, items, sleeps, later, blocks)

    async def sleep(self, secret: str) -> None:
        self.started.release()
        while not self.leave.is_set():
            await asyncio.sleep(0.01)

    def go_down(self, secret: str, depth: int) -> None:
        if depth:
            self.go_down(secret, depth - 1)
        else:
            self.started.release()
            passed(self.leave)

    def begin(self, *args: Any, name: str = "work") -> int:
        key = self.bench.stream(name, *args)
        assert self.started.acquire(timeout=20)
        return key

    def threads(self) -> list[dict[str, Any]]:
        stacks = self.bench.dispatcher.stacks()
        assert stacks["note"] is None
        found: list[dict[str, Any]] = stacks["threads"]
        return found


@pytest.fixture
def deep() -> Iterator[Deep]:
    deep = Deep()
    yield deep
    deep.leave.set()


def functions(thread: dict[str, Any]) -> list[str]:
    return [frame["function"].rpartition(".")[2] for frame in thread["stack"]]


@readable
@pytest.mark.parametrize(("name", "outermost"), [("work", "work"), ("items", "items")])
def test_the_stack_of_a_tool_is_its_own_frames(deep, name, outermost):
    key = deep.begin("hunter2", name=name)
    (thread,) = deep.threads()
    assert (thread["name"], thread["tool"], thread["id"]) == ("bridge-worker-1", name, key)
    assert thread["seconds"] > 0
    assert (thread["abandoned"], thread["left_out"]) == (False, 0)
    # what waits in Event.wait is below the tool's own
    assert functions(thread)[:3] == [outermost, "go_down", "go_down"]
    own = thread["stack"][0]
    assert own["file"] == __file__
    assert own["line"] > 1


@readable
@pytest.mark.parametrize("name", ["sleeps", "later"])
def test_of_an_async_tool_is_shown_what_awaits_what(deep, name):
    key = deep.begin("hunter2", name=name)
    # it may just run, and then the way down to what it waits for is not there
    wait_until(lambda: functions(deep.threads()[0])[-1:] == ["sleep"])
    (thread,) = deep.threads()
    assert (thread["tool"], thread["id"]) == (name, key)
    assert functions(thread)[:2] == [name, "sleep"]
    assert "hunter2" not in repr(thread)


@readable
def test_of_an_async_tool_that_holds_the_loop_up_is_shown_where(deep):
    deep.begin("hunter2", name="blocks")
    (thread,) = deep.threads()
    assert functions(thread)[:3] == ["blocks", "go_down", "go_down"]
    assert thread["stack"][-1]["file"] == threading.__file__  # passed() waits there


@readable
def test_no_values_are_shown(deep):
    deep.begin("hunter2")
    assert "hunter2" not in repr(deep.bench.dispatcher.stacks())


@readable
def test_every_worker_is_shown_and_those_that_nobody_awaits(deep):
    abandoned = deep.begin("x")
    deep.bench.dispatcher.cancel(abandoned)
    deep.begin("x", name="items")
    first, second = deep.threads()
    assert (first["tool"], first["abandoned"]) == ("work", True)
    assert (second["tool"], second["abandoned"]) == ("items", False)


@readable
def test_a_thread_that_rests_has_no_stack(deep):
    deep.begin("x")
    deep.leave.set()
    deep.bench.settle()
    (thread,) = deep.threads()
    assert thread == {
        "name": "bridge-worker-1",
        "tool": None,
        "id": None,
        "seconds": 0.0,
        "abandoned": False,
        "stack": None,
        "left_out": 0,
    }


@readable
def test_of_a_deep_stack_the_innermost_frames_are_shown(deep):
    deep.begin("x", 200)
    (thread,) = deep.threads()
    assert len(thread["stack"]) == 64
    assert thread["left_out"] > 130
    assert "work" not in functions(thread)
    assert functions(thread)[0] == "go_down"


@readable
def test_a_quick_tool_on_the_thread_that_reads_is_shown(deep):
    runner = InlineRunner(deep.bench.dispatcher, deep.bench.peer, "bridge-reader-1")
    watchdog = Watchdog(lambda term, number: None, "unused")
    served = deep.bench.dispatcher.tools["work"]
    batch = deque([(Request(7, "work", ["hunter2"], None), served)])
    thread = in_thread(runner.run, batch, watchdog, 1)
    assert deep.started.acquire(timeout=20)
    (shown,) = deep.threads()
    assert (shown["name"], shown["tool"], shown["id"]) == ("bridge-reader-1", "work", None)
    assert functions(shown)[0] == "work"
    runner.share()  # it lasts: now it is a call like any other
    (shown,) = deep.threads()
    assert (shown["tool"], shown["id"]) == ("work", 7)
    deep.leave.set()
    join(thread)
    wait_until(lambda: deep.threads()[0]["tool"] is None)


def test_without_the_gil_no_stack_is_read_and_a_note_says_why(deep, monkeypatch):
    key = deep.begin("x")
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(sys, "_current_frames", None)
    stacks = deep.bench.dispatcher.stacks()
    assert "PYTHON_GIL=1" in stacks["note"]
    (thread,) = stacks["threads"]
    assert (thread["tool"], thread["id"], thread["stack"]) == ("work", key, None)
    assert stacks["note"] in show_stacks(stacks)


@readable
def test_a_log_has_a_line_for_each_frame_of_those_that_run_a_tool(deep):
    deep.begin("x", 100)
    lines = show_stacks(deep.bench.dispatcher.stacks()).splitlines()
    assert lines[0].startswith("bridge-worker-1: work for ")
    assert lines[1].endswith(" frames")
    assert len(lines) == 66
    assert f'File "{__file__}"' in lines[2]
