"""Which workers run the calls of a check, and when."""

from __future__ import annotations

import sys
import threading

import pytest

from bridge import Adapter, tool
from bridge.adapter import bind_tools
from bridge.thread_safety.outcomes import Outcomes
from bridge.thread_safety.placement import Attempt, Placement

from ...waiting import WAIT_S, wait_until

WORKERS = 3
#: Between two switches of threads.
SHORT_S = 1e-5


class Tools(Adapter):
    def __init__(self):
        #: The thread of each call, and how many ran then.
        self.calls = []
        self.running = 0
        self.asked = threading.Semaphore(0)

    def note(self):
        self.calls.append(threading.get_ident())

    @tool
    def meet(self, barrier):
        self.note()
        barrier.wait(WAIT_S)

    @tool
    def one(self, number):
        self.note()
        return number

    @tool(serial=True)
    def alone(self, number):
        self.note()
        return number

    @tool
    def items(self):
        self.note()
        yield from "ab"

    @tool
    async def later(self):
        self.note()
        return "later"

    @tool
    def ask(self):
        assert self.asked.acquire(timeout=WAIT_S)

    @tool
    def answer(self):
        self.asked.release(WORKERS)

    @tool
    def until_threads_switch_rarely(self):
        wait_until(lambda: sys.getswitchinterval() > SHORT_S)

    @tool
    def fail(self):
        raise LookupError("nothing is there")


@pytest.fixture
def served():
    return Tools()


@pytest.fixture
def outcomes():
    return Outcomes()


@pytest.fixture
def place(served, outcomes):
    """Run waves of calls, each the name of a tool and its arguments."""

    def run(*waves):
        attempts = [
            [Attempt(name, list(args), outcomes.peer((name, 0))) for name, *args in wave]
            for wave in waves
        ]
        return Placement(bind_tools(served), WORKERS, attempts).run()

    return run


def test_the_calls_of_a_wave_run_at_once_each_on_another_worker(place, served):
    waves = [[("meet", threading.Barrier(WORKERS))] * WORKERS for _ in range(5)]
    assert place(*waves)
    for first in range(0, 5 * WORKERS, WORKERS):
        assert len(set(served.calls[first : first + WORKERS])) == WORKERS


def test_quick_calls_of_a_wave_do_not_share_a_worker(place, served):
    assert place(*[[("one", number)] * WORKERS for number in range(20)])
    for first in range(0, 20 * WORKERS, WORKERS):
        assert len(set(served.calls[first : first + WORKERS])) == WORKERS


@pytest.mark.parametrize("name", ["one", "alone"])
def test_calls_one_after_another_take_all_workers_in_turn(place, served, name):
    assert place(*[[(name, number)] for number in range(4 * WORKERS)])
    assert len(set(served.calls[:WORKERS])) == WORKERS
    assert served.calls == served.calls[:WORKERS] * 4


def test_waves_of_different_sizes_follow_each_other(place, served):
    sizes = [1, 3, 2, 2, 3, 1, 1]
    assert place(*[[("one", size)] * size for size in sizes])
    assert len(served.calls) == sum(sizes)
    for number, size in enumerate(sizes):
        first = sum(sizes[:number])
        assert len(set(served.calls[first : first + size])) == size


def test_calls_that_wait_for_a_later_wave_are_not_waited_for(place, outcomes):
    assert not place([("ask",)], [("answer",)])
    assert not outcomes.new_failures(Outcomes())


def test_a_call_that_waits_beside_others_is_not_waited_for(place):
    assert not place([("ask",), ("one", 1), ("one", 2)], [("answer",)], [("one", 3)])


def test_calls_that_are_refused_keep_nobody_waiting(place, served):
    assert place(*[[("one",), ("one", 1), ("one", 2, 3)]] * 30, *[[("one",)] * WORKERS] * 300)
    assert len(served.calls) == 30


def test_streams_and_tasks_run_to_their_end(place, outcomes, served):
    in_turn = Outcomes()
    assert place([("items",), ("later",), ("items",)])
    for step, result in ((("items", 0), ["a", "c"]), (("later", 0), "soon")):
        for _ in range(2):
            in_turn.add_result(step, result)
    # in the order in which they have ended
    assert sorted((each.tool, each.text) for each in outcomes.new_results(in_turn)) == [
        ("items", "returned ['a', 'b'] instead of ['a', 'c']"),
        ("later", "returned 'later' instead of 'soon'"),
    ]


def test_errors_that_others_have_not_are_named(place, outcomes):
    assert place([("fail",)] * WORKERS)
    assert outcomes.new_failures(outcomes) == []
    (failure,) = outcomes.new_failures(Outcomes())
    assert (failure.tool, failure.text) == ("fail", "LookupError: nothing is there")
    incomparable = Outcomes()
    incomparable.comparable = False
    assert outcomes.new_failures(incomparable) == []


def test_no_calls_are_no_work(place):
    assert place()


def test_where_hardly_anything_is_answered_threads_switch_less_often(place):
    # with spinning threads of a library on every core, a switch takes longer than what is done between two
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SHORT_S)
    try:
        assert place([("until_threads_switch_rarely",)] * WORKERS)
        assert sys.getswitchinterval() <= 0.005
    finally:
        sys.setswitchinterval(interval)
