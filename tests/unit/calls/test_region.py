"""Where a thread may be interrupted: inside of a tool, once, and never after it has come out."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from threading import get_ident
from typing import Any

import pytest

from bridge.calls import region as module
from bridge.calls.region import Outside, Region, outside, raise_in, run_inside
from bridge.errors import Interrupted
from tests.waiting import in_thread, join, passed


class Running:
    """What runs a tool, as others see it. ``regions``: all there ever were."""

    interrupt_due = False

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self._region: Region | None = None

    @property
    def region(self) -> Region | None:
        return self._region

    @region.setter
    def region(self, region: Region | None) -> None:
        if region is not None:
            self.regions.append(region)
        self._region = region

    def interrupt(self) -> bool:
        """As the thread does that ends abandoned calls. Whether an exception was set."""
        self.interrupt_due = True
        region = self.region
        return region is not None and region.interrupt(self)


def nothing_comes() -> None:
    """Give an exception that is pending in this thread every chance to come."""
    for _ in range(100):
        pass
    time.sleep(0)
    for _ in range(100):
        pass


@pytest.fixture
def running() -> Running:
    return Running()


def spin() -> None:
    while True:
        pass


def test_a_loop_is_interrupted_and_what_it_must_give_back_is_given_back(running):
    began, log = threading.Event(), []

    def tool() -> None:
        try:
            began.set()
            spin()
        finally:
            log.append("given back")

    def interrupt() -> None:
        passed(began)
        log.append(running.interrupt())

    thread = in_thread(interrupt)
    with pytest.raises(Interrupted):
        run_inside(running, tool)
    join(thread)
    nothing_comes()
    assert sorted(log, key=str) == [True, "given back"]


def test_what_a_function_returns_and_raises_passes_through(running):
    assert run_inside(running, divmod, 7, 2) == (3, 1)
    assert run_inside(running, dict, a=1) == {"a": 1}
    with pytest.raises(ZeroDivisionError):
        run_inside(running, divmod, 1, 0)
    with pytest.raises(StopIteration):
        run_inside(running, next, iter(()))
    assert running.region is None


def test_a_region_that_was_left_is_not_interrupted(running):  # 1
    regions = []
    run_inside(running, lambda: regions.append(running.region))
    assert regions[0].interrupt(running) is False
    running.region = regions[0]  # somebody has found it before
    assert running.interrupt() is False
    nothing_comes()


def test_a_thread_waits_for_the_exception_that_is_about_to_be_set(running, monkeypatch):  # 2
    taken, may_set, left, set_in = (threading.Event() for _ in range(4))

    def slow(thread: int, kind: type[BaseException]) -> None:
        if kind is Interrupted:
            taken.set()
            passed(may_set)
            set_in.set()
        else:
            raise_in(thread, kind)

    monkeypatch.setattr(module, "raise_in", slow)
    inside = threading.Event()

    def tool() -> None:
        inside.set()
        passed(taken)

    def run() -> None:
        run_inside(running, tool)
        assert set_in.is_set()
        left.set()

    thread = in_thread(run)
    passed(inside)
    interrupter = in_thread(running.interrupt)
    passed(taken)
    assert not left.wait(0.05)
    may_set.set()
    passed(left)
    join(thread, interrupter)


def interrupted_region() -> Region:
    """One of this thread, in which another has raised an exception: nobody knows whether it came."""
    region = Region()
    assert region.take()
    region.raised = True
    return region


def test_a_thread_leaves_only_after_an_exception_has_come(monkeypatch):  # 3
    asked = []

    def lossy(thread: int, kind: type[BaseException]) -> None:
        asked.append(kind)
        if len(asked) == 3:
            raise_in(thread, kind)

    monkeypatch.setattr(module, "raise_in", lossy)
    assert interrupted_region().leave() is False
    assert len(asked) == 3
    nothing_comes()


def test_one_that_comes_while_the_thread_leaves_is_told(running, monkeypatch):  # 3
    monkeypatch.setattr(module, "raise_in", lambda thread, kind: raise_in(thread, Interrupted))
    assert interrupted_region().leave() is True
    running.region = interrupted_region()
    with pytest.raises(Interrupted), outside(running):
        raise AssertionError("the tool has come out")
    assert running.region is None
    nothing_comes()


def test_one_that_has_been_swallowed_does_no_harm(running):
    began, ended = threading.Event(), threading.Event()

    def tool() -> str:
        try:
            began.set()
            spin()
        except BaseException:
            ended.set()
        return "all the same"

    thread = in_thread(lambda: (passed(began), running.interrupt()))
    assert run_inside(running, tool) == "all the same"
    assert ended.is_set()
    nothing_comes()
    join(thread)


class Steps:
    """Calls ``script`` at one step of everything that runs in ``region.py``, on this thread.

    A step is a bytecode, or a line where a Python tells only of these; the exception that is set there
    comes there.
    """

    def __init__(self, number: int, script: Callable[[], object]) -> None:
        self._left = number
        self._script = script
        self.reached = False

    def trace(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != module.__file__ or frame.f_code.co_name in self.SKIPPED:
            return None
        frame.f_trace_opcodes = True
        return self._step

    #: What other threads run, and this one only as the test's script.
    SKIPPED = ("interrupt", "raise_in")

    def _step(self, frame: Any, event: str, argument: Any) -> Any:
        if event in ("opcode", "line"):
            self._left -= 1
            if self._left == 0:
                self.reached = True
                self._script()
        return self._step


def after_each_step(subject: Callable[[Running, list[str]], None]) -> int:
    """Run the subject again and again, interrupted at its first step, at its second, and so on.

    Returns:
        How many steps there are.
    """
    results: list[bool] = []
    while not results or results[-1]:
        tried = len(results)
        # on a thread of its own: an exception that comes between the bytecodes that end a handler,
        # where only a trace function can raise one, is what the thread handles from then on
        join(in_thread(_interrupt_at_step, tried + 1, subject, results))
        assert len(results) == tried + 1, f"at step {tried + 1}"
    return len(results) - 1


def _interrupt_at_step(
    number: int, subject: Callable[[Running, list[str]], None], results: list[bool]
) -> None:
    running, log = Running(), []
    steps = Steps(number, lambda: log.append(str(running.interrupt())))
    sys.settrace(steps.trace)
    try:
        subject(running, log)
    except Interrupted:
        log.append("interrupted")
    finally:
        sys.settrace(None)
    nothing_comes()  # or this ends the thread, and there is no result
    # none can be interrupted any more: they were, or were left
    if not any(region.take() for region in running.regions):
        assert log.count("True") <= 1
        assert log.count("interrupted") <= 1
        assert steps.reached or log == ["tool"]
        results.append(steps.reached)


def test_wherever_the_exception_comes_it_comes_once_and_not_later():  # 4
    def subject(running: Running, log: list[str]) -> None:
        run_inside(running, log.append, "tool")

    assert after_each_step(subject) >= 10


def test_the_same_around_an_exception_of_the_tool():  # 4
    def fail(log: list[str]) -> None:
        log.append("tool")
        raise LookupError

    def subject(running: Running, log: list[str]) -> None:
        try:
            run_inside(running, fail, log)
        except LookupError:
            pass

    assert after_each_step(subject) >= 10


def test_the_same_around_what_a_tool_calls_of_ours():  # 4
    """Whatever comes, the inner part is run whole or not at all."""

    def tool(running: Running, log: list[str]) -> None:
        log.append("tool")
        with outside(running):
            inner.append("begins")
            nothing_comes()
            inner.append("ends")

    def subject(running: Running, log: list[str]) -> None:
        inner.clear()
        try:
            run_inside(running, tool, running, log)
        finally:
            assert inner in ([], ["begins", "ends"])

    inner: list[str] = []
    assert after_each_step(subject) >= 10


def test_a_call_that_is_interrupted_outside_is_so_when_it_goes_in(running):  # 5
    def tool() -> None:
        log.append("began")

    log: list[str] = []
    assert running.interrupt() is False  # it is between two regions
    with pytest.raises(Interrupted):
        run_inside(running, tool)
    assert log == []
    assert running.interrupt_due is False
    run_inside(running, tool)  # what cleans up, for example
    assert log == ["began"]


def test_a_call_that_is_interrupted_as_it_goes_in_is_so():  # 5
    class Looking(Running):
        """Another thread looks for a region just as this one looks whether it is to be interrupted."""

        _due = False

        @property
        def interrupt_due(self) -> bool:  # type: ignore[override]
            due = self._due
            if get_ident() == thread and not found:
                found.append(None)
                join(in_thread(lambda: found.append(self.interrupt())))
            return due

        @interrupt_due.setter
        def interrupt_due(self, due: bool) -> None:
            self._due = due

    def tool() -> None:
        nothing_comes()

    thread = get_ident()
    found: list[bool | None] = []
    with pytest.raises(Interrupted):
        run_inside(Looking(), tool)
    assert found == [None, True]


def test_what_is_due_is_raised_when_the_thread_comes_back_into_the_tool(running):
    def tool() -> None:
        with outside(running):
            log.append(running.interrupt())
            nothing_comes()
            log.append("whole")
        log.append("not reached")

    log: list[Any] = []
    with pytest.raises(Interrupted):
        run_inside(running, tool)
    assert log == [False, "whole"]
    nothing_comes()


def test_another_thread_of_the_tool_does_not_come_out_for_it(running):
    def tool() -> None:
        def other() -> None:
            with outside(running) as entered:
                kinds.append(entered)
                regions.append(running.region)

        join(in_thread(other))
        regions.append(running.region)

    kinds: list[object] = []
    regions: list[object] = []
    run_inside(running, tool)
    assert regions[0] is regions[1] is not None
    assert not isinstance(outside(running), Outside)


def test_calls_of_ours_within_calls_of_ours(running):
    def tool() -> str:
        with outside(running), outside(running):
            assert running.region is None
        assert running.region is not None
        return "done"

    assert run_inside(running, tool) == "done"


def test_threads_that_are_interrupted_at_any_time_go_on_to_what_is_next():
    """Each runs many short tools, one after the other, and gets an exception in some of them."""
    over = threading.Event()
    subjects: list[Running] = []
    failures: list[BaseException] = []

    def work() -> None:
        interrupted = 0
        try:
            while interrupted < 30:
                subject = Running()
                subjects.append(subject)
                try:
                    run_inside(subject, sum, range(50))
                except Interrupted:
                    interrupted += 1
                    nothing_comes()
        except BaseException as failure:
            failures.append(failure)

    def interrupt() -> None:
        while not over.is_set():
            if subjects:
                subjects[-1].interrupt()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        other = in_thread(interrupt)
        join(*[in_thread(work) for _ in range(2)])
        over.set()
        join(other)
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
