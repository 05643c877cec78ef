"""Tools that go on although their call is over: which are ended, when, and what else goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from bridge import Context, Interrupted, current_context, tool
from bridge.calls import InlineRunner, Watchdog
from bridge.calls import interrupter as module
from bridge.calls.interrupter import Interrupter
from bridge.calls.region import Region, raise_in
from bridge.errors import UsageError
from bridge.tool import Tool, ToolOptions
from bridge.wire.messages import CallOptions, Request
from tests.tool_bench import Bench
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until


class Loops:
    """Tools that never end by themselves, or not before ``leave`` is set, and what became of them."""

    def __init__(self, interrupter: Interrupter | None = None) -> None:
        self.began, self.leave = threading.Semaphore(0), threading.Event()
        self.late = threading.Semaphore(0)
        self.ends: list[str] = []

        @tool(interruptible=True)
        def loop() -> None:
            self.go_on()

        @tool
        def plain() -> None:
            self.go_on()

        @tool(interruptible=False)
        def never() -> None:
            self.go_on()

        @tool(interruptible=True, serial=True)
        def alone() -> None:
            self.go_on()

        @tool(interruptible=True)
        def items() -> Iterator[int]:
            yield 1
            self.go_on()

        @tool(interruptible=True)
        def stubborn() -> str:
            try:
                self.go_on()
            except BaseException:
                return "all the same"

        @tool(interruptible=True)
        def waits(ctx: Context) -> None:
            self.began.release()
            assert ctx.wait(WAIT_S)
            self.go_on()

        @tool(interruptible=True)
        def reports(ctx: Context) -> None:
            try:
                self.began.release()
                while True:
                    ctx.progress(1)
            finally:
                ctx.log("info", "cleans up")

        @tool
        def ends_late() -> None:
            self.began.release()
            self.late.acquire()

        @tool(interruptible=True)
        async def sleeps() -> None:
            try:
                self.began.release()
                await asyncio.sleep(WAIT_S)
            except asyncio.CancelledError:
                self.ends.append("cancelled")
                raise

        @tool(interruptible=True)
        def quick(value: Any = None) -> Any:
            return value

        self.bench = Bench(
            loop, plain, never, alone, items, stubborn, waits, reports, sleeps, quick, ends_late,
            interrupter=interrupter,
        )  # fmt: skip
        self.dispatcher = self.bench.dispatcher

    def go_on(self) -> None:
        try:
            self.began.release()
            # the jump back belongs to the try: not from "while CONDITION", which Python 3.13 begins with, and
            # from 3.14 on not from an "if" at the end either
            while True:
                if self.leave.is_set():
                    break
                time.sleep(0)
            self.ends.append("left")
        except Interrupted:
            self.ends.append("interrupted")
            raise

    def start(self, name: str, **options: Any) -> int:
        key = self.bench.stream(name, **options)
        assert self.began.acquire(timeout=WAIT_S)
        return key

    def interrupts(self) -> dict[str, int]:
        found: dict[str, int] = self.dispatcher.stats()["interrupts"]
        return found


@pytest.fixture
def serve() -> Iterator[Callable[..., Loops]]:
    made: list[Loops] = []

    def serve(interrupter: Interrupter | None = None) -> Loops:
        made.append(Loops(interrupter))
        return made[-1]

    yield serve
    for each in made:
        each.leave.set()


@pytest.fixture
def loops(serve) -> Loops:
    return serve()


@pytest.mark.parametrize("name", ["loop", "alone", "items"])
def test_a_tool_that_nobody_awaits_is_ended_at_once(loops, name):
    key = loops.start(name)
    loops.dispatcher.cancel(key)
    loops.bench.settle()
    assert loops.bench.error(key).code == "cancelled"
    assert loops.ends == ["interrupted"]
    assert loops.interrupts() == {"raised": 1, "ended": 1}
    assert loops.dispatcher.health()["abandoned"] == 0
    # its worker, and its place among those that run one at a time, are free
    if name != "items":
        loops.dispatcher.cancel(loops.start(name))
        loops.bench.settle()


def test_one_that_has_run_out_of_time_is_ended(loops):
    key = loops.start("loop", timeout_s=0.02)
    loops.bench.settle()
    assert loops.bench.error(key).code == "deadline_exceeded"
    assert loops.ends == ["interrupted"]


def test_the_end_of_a_drain_ends_them(loops):
    key = loops.start("loop")
    assert loops.dispatcher.drain(0.0) is False
    assert loops.dispatcher.wait_until_idle(WAIT_S)
    assert loops.bench.error(key).code == "unavailable"
    assert loops.ends == ["interrupted"]


def test_one_that_ends_in_time_has_its_result(loops):
    key = loops.start("loop")
    loops.leave.set()
    assert loops.bench.result(key) is None
    loops.dispatcher.cancel(key)
    assert loops.interrupts() == {"raised": 0, "ended": 0}


def test_without_the_option_only_marked_tools_are_ended(loops):
    keys = [loops.start("plain"), loops.start("never")]
    for key in keys:
        loops.dispatcher.cancel(key)
    assert loops.dispatcher.health()["abandoned"] == 2
    loops.leave.set()
    loops.bench.settle()
    assert loops.ends == ["left", "left"]
    assert loops.interrupts() == {"raised": 0, "ended": 0}


def test_with_the_option_all_others_are_ended_after_that_time(serve):
    loops = serve(Interrupter(0.01))
    for count in (1, 2):  # the second while nothing is due
        loops.dispatcher.cancel(loops.start("plain"))
        loops.bench.settle()
        assert loops.ends == ["interrupted"] * count
    loops.dispatcher.cancel(loops.start("never"))
    loops.leave.set()
    loops.bench.settle()
    assert loops.ends == ["interrupted", "interrupted", "left"]


def test_without_a_thread_of_its_own_the_main_one_catches_up(serve, monkeypatch):
    interrupter = Interrupter(0.01)
    loops = serve(interrupter)
    with monkeypatch.context() as patch:
        patch.setattr(module, "start_thread", lambda thread: False)
        loops.dispatcher.cancel(loops.start("plain"))
    interrupter.catch_up()  # perhaps too early: nothing happens
    wait_until(lambda: loops.dispatcher.catch_up() or loops.ends == ["interrupted"])
    loops.bench.settle()
    assert loops.interrupts() == {"raised": 1, "ended": 1}


def test_before_that_time_they_go_on(serve):
    loops = serve(Interrupter(1000.0))
    loops.dispatcher.cancel(loops.start("plain"))
    # marked ones do not wait so long
    loops.dispatcher.cancel(loops.start("loop"))
    wait_until(lambda: loops.dispatcher.health()["abandoned"] == 1)
    assert loops.ends == ["interrupted"]
    loops.leave.set()
    loops.bench.settle()
    assert loops.ends == ["interrupted", "left"]


def test_calls_whose_tools_have_ended_by_themselves_are_not_kept_until_then(serve):
    interrupter = Interrupter(1000.0)
    loops = serve(interrupter)
    running = loops.start("plain")
    calls = [weakref.ref(loops.dispatcher.calls[running])]
    loops.dispatcher.cancel(running)
    for _ in range(200):
        key = loops.bench.start("ends_late")
        assert loops.began.acquire(timeout=WAIT_S)
        calls.append(weakref.ref(loops.dispatcher.calls[key]))
        loops.dispatcher.cancel(key)
        loops.late.release()
        wait_until(lambda: loops.dispatcher.health()["abandoned"] == 1)
    gc.collect()
    assert calls[0]() is not None  # which still may be ended
    assert sum(call() is not None for call in calls) < 100


def test_where_it_is_not_allowed_none_is_ended(serve):
    loops = serve(Interrupter(0.0, allowed=False))
    loops.dispatcher.cancel(loops.start("loop"))
    loops.leave.set()
    loops.bench.settle()
    assert loops.ends == ["left"]


def test_one_that_swallows_it_is_left_alone(loops):
    key = loops.start("stubborn")
    loops.dispatcher.cancel(key)
    loops.bench.settle()
    assert loops.bench.error(key).code == "cancelled"
    assert loops.interrupts() == {"raised": 1, "ended": 0}


def test_a_tool_that_has_waited_in_our_code_and_goes_on_is_ended(loops):
    loops.dispatcher.cancel(loops.start("waits"))
    loops.bench.settle()
    assert loops.ends == ["interrupted"] or not loops.ends
    assert loops.interrupts()["ended"] == 1


def test_a_tool_that_reports_all_the_time_is_ended_between_reports(loops):
    key = loops.start("reports")
    loops.dispatcher.cancel(key)
    loops.bench.settle()
    assert loops.interrupts()["ended"] == 1
    # after it was interrupted it can still use what it has
    assert [e[3] for e in loops.bench.peer.events if e[0] == "log"] == ["bridge.tool.reports"]


def test_an_async_tool_is_cancelled_as_ever(loops):
    loops.dispatcher.cancel(loops.start("sleeps"))
    loops.bench.settle()
    assert loops.ends == ["cancelled"]
    assert loops.interrupts() == {"raised": 0, "ended": 0}


def test_a_call_that_waits_is_not_begun(loops):
    running = [loops.start("loop") for _ in range(2)]
    waiting = loops.bench.start("loop")
    loops.dispatcher.cancel(waiting)
    error = loops.bench.error(waiting)
    assert error.started is False
    for key in running:
        loops.dispatcher.cancel(key)
    loops.bench.settle()
    assert loops.ends == ["interrupted"] * 2


def test_a_quick_tool_on_the_thread_that_reads_is_ended_and_the_thread_goes_on(loops):
    """By then another one reads; what the first had read is run by that one."""
    terms: list[int] = []
    watchdog = Watchdog(lambda term, number: terms.append(term), "unused")
    runner = InlineRunner(loops.dispatcher, loops.bench.peer, "bridge-reader-1")
    tools = loops.dispatcher.tools
    batch = deque([(Request(7, "loop", [], None), tools["loop"])])
    thread = in_thread(runner.run, batch, watchdog, 1)
    assert loops.began.acquire(timeout=WAIT_S)
    runner.share()  # as the one that has taken over does
    assert loops.dispatcher.cancel(7)
    join(thread)
    assert loops.ends == ["interrupted"]
    assert loops.interrupts() == {"raised": 1, "ended": 1}
    assert loops.bench.error(7).code == "cancelled"
    # the same runner, for which nothing is due any more
    batch = deque((Request(n, "quick", [n], None), tools["quick"]) for n in range(8, 28))
    assert runner.run(batch, watchdog, 1)
    assert [loops.bench.result(n) for n in range(8, 28)] == list(range(8, 28))


def test_what_was_shared_is_found_only_while_it_runs(loops):
    runner = InlineRunner(loops.dispatcher, loops.bench.peer, "bridge-reader-1")
    watchdog = Watchdog(lambda term, number: None, "unused")
    found: list[Any] = []

    @tool(interruptible=True)
    def asks() -> None:
        call = current_context()._call
        found.append(call)
        found.append(call.current_region() is runner.region is not None)

    bench = Bench(asks)
    runner = InlineRunner(bench.dispatcher, bench.peer, "bridge-reader-1")
    runner.run(deque([(Request(1, "asks", [], None), bench.dispatcher.tools["asks"])]), watchdog, 1)
    assert found[1] is True
    runner.region = Region()  # of what runs now
    assert found[0].current_region() is None


def test_what_is_noted_is_there_before_a_region_is_looked_for():
    class Call:
        """Its thread goes in right after somebody has looked for its region."""

        interrupted_at = 0.0
        interrupt_due = False
        ended_late = False
        looked = threading.Event()

        def current_region(self) -> None:
            noted.append(self.interrupt_due)
            self.looked.set()

    noted: list[bool] = []
    call = Call()
    Interrupter().end(call, Tool("loop", print, ToolOptions(None, None, False, interruptible=True)))
    passed(call.looked)
    assert noted == [True]


def test_in_a_forked_process_nobody_waits_for_what_will_not_be_raised():
    interrupter = Interrupter()
    interrupter.forked()  # nothing is being raised
    region = Region()
    interrupter._region = region
    assert region.take()  # the thread that has it is not in the child
    interrupter.forked()
    assert region.leave() is False


def test_a_python_that_cannot_do_it_is_refused_at_the_start(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ctypes", None)

    @tool(interruptible=True)
    def loop() -> None:
        pass

    with pytest.raises(UsageError, match="ctypes"):
        Bench(loop)


def test_many_are_ended_and_no_other_call_is_disturbed(loops):
    """Calls that end, and calls that do not, at once on the same workers."""
    bench, dispatcher = loops.bench, loops.dispatcher
    for ended in range(1, 31):
        hanging = loops.start("loop")
        quick = [bench.start("quick", n) for n in range(10)]
        dispatcher.cancel(hanging)
        assert [bench.result(key) for key in quick] == list(range(10))
        wait_until(lambda ended=ended: len(loops.ends) == ended)
    loops.bench.settle()
    assert loops.ends == ["interrupted"] * 30
    assert loops.interrupts() == {"raised": 30, "ended": 30}


def test_deadlines_that_pass_just_as_tools_end_disturb_nothing(loops):
    """Each call ends at about its deadline: by itself, by force, or just before it begins."""
    bench = loops.bench

    def spin(passes: int) -> int:
        for _ in range(passes):
            pass
        return passes

    bench = Bench(tool(interruptible=True)(spin), max_queue=1000)
    keys = [
        bench.request("spin", [2000], None, CallOptions(0.0001 * (number % 5)))
        for number in range(500)
    ]
    bench.settle()
    answers = [bench.peer.answers(key) for key in keys]
    assert all(len(each) == 1 for each in answers)
    assert {getattr(each[0], "code", each[0]) for each in answers} <= {2000, "deadline_exceeded"}
    assert bench.result(bench.start("spin", 10)) == 10


def while_true(began: threading.Event, ends: list[int]) -> None:
    try:
        began.set()
        while True:
            pass
    finally:
        ends.append(1)


def endless_for(began: threading.Event, ends: list[int]) -> None:
    try:
        began.set()
        for _ in iter(int, 1):
            pass
    finally:
        ends.append(1)


def while_condition(began: threading.Event, ends: list[int]) -> None:
    try:
        began.set()
        while began:
            pass
    finally:
        ends.append(1)


def ends_with_another_statement(began: threading.Event, ends: list[int]) -> None:
    try:
        began.set()
        for _ in iter(int, 1):
            if not began:
                break
            time.sleep(0)
    finally:
        ends.append(1)


def in_a_function_of_its_own(began: threading.Event, ends: list[int]) -> None:
    def loop() -> None:
        while began:
            if not began:
                break

    try:
        began.set()
        loop()
    finally:
        ends.append(1)


def ends_with_if(began: threading.Event, ends: list[int]) -> None:
    try:
        began.set()
        for _ in iter(int, 1):
            if not began:
                break
    finally:
        ends.append(1)


#: Where CPython jumps back outside of the ``try``, as ``docs/thread-safety.md`` says.
GAP = pytest.mark.skipif(sys.version_info >= (3, 13), reason="not promised from 3.13 on")


@pytest.mark.parametrize(
    "loop",
    [
        while_true,
        endless_for,
        ends_with_another_statement,
        in_a_function_of_its_own,
        pytest.param(while_condition, marks=GAP),
        pytest.param(ends_with_if, marks=GAP),
    ],
)
def test_the_finally_around_a_loop_runs_when_that_is_interrupted(loop: Any) -> None:
    ends: list[int] = []

    def run(began: threading.Event) -> None:
        with suppress(Interrupted):
            loop(began, ends)

    for number in range(20):
        began = threading.Event()
        thread = in_thread(run, began)
        passed(began)
        assert thread.ident is not None
        raise_in(thread.ident, Interrupted)
        join(thread)
        assert len(ends) == number + 1
