"""Calls that run on the thread that received them: the way of transports that occupy a worker."""

import threading
import time

import pytest

from bridge import Context, tool
from bridge.calls.job import Job
from bridge.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidParams,
    PoolFull,
    ToolFailed,
    ToolNotFound,
)
from bridge.wire.messages import CallOptions, Request
from tests.tool_bench import ENDLESS, Bench
from tests.waiting import passed, wait_until


class Visit(Job):
    """A request that is a job: its call is admitted and run on the worker that takes it."""

    serial = None

    def __init__(self, bench, key, name, args, between=lambda call: None, **options):
        self.bench = bench
        self.request = Request(key, name, list(args), CallOptions(**options) if options else None)
        self.arrived = time.monotonic()
        self.between = between
        self.call = None
        self.ran_here = None
        self.thread = None
        self.worker = None
        self.done = threading.Event()

    def run(self, worker, now):
        dispatcher, self.thread, self.worker = (
            self.bench.dispatcher,
            threading.current_thread(),
            worker,
        )
        self.call = dispatcher.admit(self.request, self.bench.peer, self.arrived)
        if self.call is not None:
            self.between(self.call)
            self.ran_here = dispatcher.run_here(self.call, worker, now)
        self.done.set()
        if self.ran_here is False:
            self.bench.peer.answer(self.call.key)  # as transports do that answer from here
        return time.monotonic()


def visit(bench, key, name, *args, **options):
    """Submit a visit and wait for its end."""
    visit = begin(bench, key, name, *args, **options)
    passed(visit.done)
    return visit


def begin(bench, key, name, *args, **options):
    visit = Visit(bench, key, name, args, **options)
    bench.pool.submit(visit)
    return visit


@tool
def add(a, b=1):
    return a + b


@tool
def fail():
    raise ValueError("on purpose")


@tool
def count(to):
    yield from range(to)


@tool
def thread():
    return threading.current_thread()


@tool
def remaining(ctx: Context):
    return ctx.time_remaining()


class Gate:
    """Two serial tools, of which ``hold`` blocks until ``leave`` is set."""

    def __init__(self, **options):
        self.started, self.leave = threading.Event(), threading.Event()
        self.inside, self.most, self.order = 0, 0, []

        @tool(serial=True)
        def alone(value):
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(value)
            self.started.set()
            passed(self.leave)
            self.inside -= 1
            return value

        @tool(serial=True)
        def fails_alone():
            raise ValueError("alone")

        self.bench = Bench(alone, fails_alone, add, thread, **options)


# -- admit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "kind"),
    [("ad", [], ToolNotFound), ("add", [], InvalidParams), ("count", [1], InvalidParams)],
)
def test_what_cannot_be_called_is_answered_and_not_admitted(name, args, kind):
    bench = Bench(add, count)
    refused = visit(bench, 1, name, *args)
    assert refused.call is None
    assert type(bench.error(1)) is kind
    assert bench.error(1).started is False
    assert bench.dispatcher.calls == {}


def test_an_admitted_call_is_in_flight_until_it_is_answered():
    bench, seen = Bench(add), []
    visit(bench, 1, "add", 2, between=lambda call: seen.append(dict(bench.dispatcher.calls)))
    assert [list(calls) for calls in seen] == [[1]]
    assert bench.result(1) == 3
    assert bench.dispatcher.calls == {}


def test_the_timeout_counts_from_the_arrival():
    bench = Bench(remaining)
    late = Visit(bench, 1, "remaining", [], timeout_s=1000.0)
    late.arrived -= 900
    bench.pool.submit(late)
    assert 90 < bench.result(1) <= 100
    assert late.call.deadline == late.arrived + 1000
    visit(bench, 2, "remaining")
    assert bench.result(2) is None


def test_a_call_that_is_cancelled_once_it_was_admitted_never_runs():
    ran = []

    @tool
    def note():
        ran.append(1)

    bench = Bench(note)
    cancelled = visit(bench, 1, "note", between=lambda call: bench.dispatcher.cancel(call.key))
    assert cancelled.ran_here is True
    assert [type(answer) for answer in bench.peer.answers(1)] == [Cancelled]
    assert bench.error(1).started is False
    assert ran == []


# -- run_here -------------------------------------------------------------------------------


def test_a_call_runs_on_the_thread_that_received_it_and_is_answered_once():
    bench = Bench(thread, add)
    here = visit(bench, 1, "thread")
    assert here.ran_here is True
    assert bench.peer.answers(1) == [here.thread]
    visit(bench, 2, "add", 1)
    assert bench.peer.events == [("result", 1, here.thread), ("result", 2, 2)]


def test_an_exception_is_answered_and_the_worker_goes_on():
    bench = Bench(fail, add, max_workers=1)
    assert visit(bench, 1, "fail").ran_here is True
    error = bench.error(1)
    assert (type(error), error.type, error.started) == (ToolFailed, "builtins.ValueError", True)
    visit(bench, 2, "add", 1)
    assert bench.result(2) == 2
    assert bench.dispatcher.stats()["tools"]["fail"]["errors"] == 1


def test_a_stream_runs_here_too():
    bench = Bench(count)
    assert visit(bench, 1, "count", 3, credit=ENDLESS).ran_here is True
    assert bench.peer.of("item", 1) == [0, 1, 2]
    assert bench.result(1) is None


def test_the_worker_shows_the_call_that_runs_and_counts_it_once():
    gate = Gate()
    begin(gate.bench, 1, "alone", "x")
    passed(gate.started)
    stats = gate.bench.dispatcher.stats()
    assert [worker["tool"] for worker in stats["workers"]] == ["alone"]
    assert (stats["busy"], stats["in_flight"], stats["tools"]["alone"]["in_flight"]) == (1, 1, 1)
    gate.leave.set()
    gate.bench.settle()
    stats = gate.bench.dispatcher.stats()
    assert stats["calls"] == sum(worker["calls"] for worker in stats["workers"]) == 1


@pytest.mark.parametrize(("end", "kind"), [("cancel", Cancelled), ("expire", DeadlineExceeded)])
def test_a_running_call_that_is_ended_is_answered_at_once_and_learns_it(end, kind):
    started, seen = threading.Event(), []

    @tool
    def wait(ctx: Context):
        started.set()
        ctx.wait()
        try:
            ctx.check()
        finally:
            seen.append(ctx.cancelled)

    bench = Bench(wait)
    running = begin(bench, 1, "wait")
    passed(started)
    assert getattr(bench.dispatcher, end)(1) is True
    assert getattr(bench.dispatcher, end)(1) is False
    assert type(bench.error(1)) is kind
    assert bench.error(1).started is True
    passed(running.done)
    assert seen == [True]
    assert len(bench.peer.answers(1)) == 1


# -- serial tools ---------------------------------------------------------------------------


def test_a_serial_call_that_finds_its_lane_free_runs_here_and_leaves_it():
    gate = Gate()
    gate.leave.set()
    for key in (1, 2, 3):
        assert visit(gate.bench, key, "alone", key).ran_here is True
        assert gate.bench.result(key) == key


def test_a_serial_call_that_finds_its_lane_busy_gives_its_worker_up():
    gate = Gate(max_workers=2)
    begin(gate.bench, 1, "alone", "first")
    passed(gate.started)
    second = visit(gate.bench, 2, "alone", "second")
    assert second.ran_here is False
    assert gate.bench.peer.answers(2) == []
    health = gate.bench.dispatcher.health()
    assert (health["busy"], health["queued"]) == (1, 1)
    for key in (3, 4, 5):
        visit(gate.bench, key, "add", key)
        assert gate.bench.result(key) == key + 1
    gate.leave.set()
    assert [gate.bench.result(key) for key in (1, 2)] == ["first", "second"]
    gate.bench.settle()
    assert gate.most == 1
    assert gate.bench.dispatcher.stats()["tools"]["alone"]["calls"] == 2


def test_serial_calls_of_both_ways_take_turns():
    gate = Gate(max_workers=3)
    begin(gate.bench, 1, "alone", 1)
    passed(gate.started)
    gate.bench.start("alone", 2, key=2)
    visit(gate.bench, 3, "alone", 3)
    gate.bench.start("alone", 4, key=4)
    visit(gate.bench, 5, "alone", 5)
    assert gate.bench.dispatcher.health()["queued"] == 4
    gate.leave.set()
    assert [gate.bench.result(key) for key in range(1, 6)] == [1, 2, 3, 4, 5]
    gate.bench.settle()
    assert gate.order == [1, 2, 3, 4, 5]
    assert gate.most == 1


def test_a_serial_call_that_waits_can_be_cancelled():
    gate = Gate(max_workers=2)
    begin(gate.bench, 1, "alone", 1)
    passed(gate.started)
    visit(gate.bench, 2, "alone", 2)
    assert gate.bench.dispatcher.cancel(2) is True
    assert type(gate.bench.error(2)) is Cancelled
    assert gate.bench.dispatcher.health()["queued"] == 0
    gate.leave.set()
    gate.bench.settle()
    assert gate.order == [1]
    visit(gate.bench, 3, "alone", 3)
    assert gate.bench.result(3) == 3


def test_a_serial_call_for_which_there_is_no_room_is_refused_and_its_worker_goes_on():
    gate = Gate(max_workers=2, max_queue=0)
    begin(gate.bench, 1, "alone", 1)
    passed(gate.started)
    refused = visit(gate.bench, 2, "alone", 2)
    assert refused.ran_here is False
    assert type(gate.bench.error(2)) is PoolFull
    assert gate.bench.error(2).started is False
    assert gate.bench.dispatcher.calls.keys() == {1}

    def added(key):
        try:
            return visit(gate.bench, key, "add", 1).ran_here
        except PoolFull:
            return False  # the worker has not got back yet

    wait_until(lambda: added(3), "the other worker")
    assert gate.bench.result(3) == 2
    gate.leave.set()
    assert gate.bench.result(1) == 1


def test_a_serial_tool_that_raises_leaves_its_lane():
    gate = Gate()
    for key in (1, 2):
        visit(gate.bench, key, "fails_alone")
        assert gate.bench.error(key).message == "alone"


def test_of_many_serial_calls_at_once_each_runs_once_and_none_overlap():
    gate = Gate(max_workers=4, max_queue=1000)
    gate.leave.set()
    visits = [begin(gate.bench, key, "alone", key) for key in range(1, 201)]
    assert [gate.bench.result(key) for key in range(1, 201)] == list(range(1, 201))
    for each in visits:
        passed(each.done)
    gate.bench.settle()
    assert sorted(gate.order) == list(range(1, 201))
    assert gate.most == 1
    assert len(gate.bench.pool.workers) <= 4
