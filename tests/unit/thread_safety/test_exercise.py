"""How a check makes its calls."""

from __future__ import annotations

import random
import sys
import time

import pytest

from bridge.errors import CallError
from bridge.thread_safety import check_adapter, exercise, placement
from bridge.thread_safety.schedule import Schedule

ADAPTER = """
from bridge import ThreadSafeAdapter, tool


class Racy(ThreadSafeAdapter):
    def __init__(self):
        self.n = 0
        self.last = []

    @tool
    def up(self):
        self.n += 1

    @tool(serial=True)
    def put(self):
        self.last.append(0)
        return self.last
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "exercised_tools.py").write_text(ADAPTER)
    yield str(tmp_path)
    sys.modules.pop("exercised_tools", None)


def test_every_call_goes_the_way_of_a_served_one(directory, monkeypatch):
    def refuse(running, tool, args, kwargs, variables, peer, key):
        assert running.claim()
        peer.send_error(key, CallError("it never came to the tool"))
        return True

    monkeypatch.setattr("bridge.calls.call.execute", refuse)
    report = check_adapter("exercised_tools:Racy", directory)
    assert (report.findings, report.counts["tools"]) == ([], {})


def test_calls_of_a_serial_tool_are_made_on_different_threads(directory):
    report = check_adapter("exercised_tools:Racy", directory)
    # what one call returns is read while another, on another thread, appends to it
    assert {finding.variable for finding in report.findings} == {"Racy.n", "Racy.last"}
    assert report.counts["tools"]["put"]["threads"] > 1
    assert report.counts["tools"]["put"]["most_at_once"] == 1


def test_as_many_calls_are_made_as_asked_for(directory):
    report = check_adapter("exercised_tools:Racy", directory, threads=2, calls=24)
    assert sum(tool["calls"] for tool in report.counts["tools"].values()) == 24


SEEN = """
import mmap
import queue
import threading

from bridge import ThreadSafeAdapter, tool


class Moved(ThreadSafeAdapter):
    # the map is no object that the detector knows: only the result tells
    def setup(self):
        self.map = mmap.mmap(-1, 256)
        self.map.write(bytes(range(256)))

    @tool(examples=[[16], [200]])
    def byte(self, offset):
        self.map.seek(offset)
        return self.map.read_byte()


class Lent(ThreadSafeAdapter):
    # the program has a branch for what is met only when calls run at once
    def setup(self):
        self.lock = threading.Lock()
        self.map = mmap.mmap(-1, 1)

    @tool
    def look(self):
        if not self.lock.acquire(blocking=False):
            return "lent"
        try:
            self.map.seek(0)
            return "seen"
        finally:
            self.lock.release()


class BothOrders(ThreadSafeAdapter):
    def __init__(self):
        self.a, self.b = threading.Lock(), threading.Lock()
        self.gate = threading.Barrier(2)

    def meet(self):
        try:
            self.gate.wait(0.05)
        except threading.BrokenBarrierError:
            pass

    @tool
    def forth(self):
        with self.a:
            self.meet()
            with self.b:
                pass

    @tool
    def back(self):
        with self.b:
            self.meet()
            with self.a:
                pass


class Endless(ThreadSafeAdapter):
    # a lock that nobody knows
    def setup(self):
        import _thread

        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def wait(self):
        self.lock.acquire(True, 60)

    @tool
    def never(self):
        self.wait()


class Waits(ThreadSafeAdapter):
    # nobody puts anything

    def setup(self):
        self.items = queue.Queue()

    @tool
    def take(self):
        return self.items.get()

    @tool
    def look(self):
        return self.items.empty()


class SlotAndLock(ThreadSafeAdapter):
    def setup(self):
        self.slot, self.lock = threading.Semaphore(1), threading.Lock()

    @tool
    def one(self):
        with self.slot, self.lock:
            return 1

    @tool
    def two(self):
        with self.lock, self.slot:
            return 2
"""


@pytest.fixture
def seen(tmp_path):
    (tmp_path / "seen_tools.py").write_text(SEEN)
    yield str(tmp_path)
    sys.modules.pop("seen_tools", None)


def test_a_result_that_no_order_explains_is_the_first_finding(seen):
    report = check_adapter("seen_tools:Moved", seen)
    assert report.failed
    first = report.findings[0]
    assert (first.evidence, first.variable) == ("wrong", "Moved.map")
    assert "seen: byte returned" in first.text
    assert "instead of" in report.findings[0].text
    assert "orders of the same calls" in report.findings[0].text


def test_a_result_for_which_the_program_has_a_branch_is_only_noted(seen):
    report = check_adapter("seen_tools:Lent", seen, effort=3)
    assert not report.failed
    assert report.findings == []


def test_a_deadlock_ends_and_is_reported(seen):
    report = check_adapter("seen_tools:BothOrders", seen, calls=16)
    names = {finding.variable for finding in report.findings}
    assert names == {"BothOrders.a and BothOrders.b"}
    assert report.stopped == []


def test_a_check_ends_at_its_limit_and_says_where_threads_stand(seen):
    # it may be over before the tool is called, where other programs are busy
    for limit_s in (0.6, 3, 15):
        sys.modules.pop("seen_tools", None)
        began = time.monotonic()
        report = check_adapter("seen_tools:Endless", seen, limit_s=limit_s)
        assert time.monotonic() - began < limit_s + 30
        assert report.failed
        assert f"within {limit_s:g} s" in report.stopped[0]
        if any("in Endless.wait" in line for line in report.stopped):
            break
    else:
        pytest.fail(f"no thread stands in the tool: {report.stopped}")
    assert "Stopped" in report.text
    assert report.describe()["stopped"] == report.stopped


def test_calls_of_several_tools_that_never_end_fail_the_check(seen, monkeypatch):
    for module in (placement, exercise):
        monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    report = check_adapter("seen_tools:Waits", seen, calls=16)
    assert report.failed
    assert "did not end" in report.stopped[0]
    # threads of other tests may have the same names
    assert any("stands at" in line for line in report.stopped)


def test_a_deadlock_of_a_semaphore_and_a_lock_ends_and_is_reported(seen):
    report = check_adapter("seen_tools:SlotAndLock", seen, calls=16)
    names = {finding.variable for finding in report.findings}
    assert names == {"SlotAndLock.lock and SlotAndLock.slot"}
    assert report.stopped == []


def test_the_same_seed_draws_the_same_pauses():
    def drawn(seed):
        schedule = Schedule(random.Random(seed))
        pauses = []
        for number in range(40):
            pauses.append(schedule.draw("tool"))
            schedule.ended("tool", number)
        return pauses

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert all(len(each) <= 2 for each in drawn(1))
    assert any(drawn(1))
