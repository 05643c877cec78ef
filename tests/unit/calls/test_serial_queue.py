"""Serial queues: jobs of one of them never overlap, and those that wait occupy no worker."""

import sys
import threading
from collections import deque

import pytest

from bridge.errors import PoolFull
from tests.waiting import WAIT_S, in_thread, passed, wait_until

from .test_pool import Job, occupy, pools, submit

__all__ = ["pools"]


def test_jobs_of_a_lane_run_one_after_the_other_in_order(pools):
    pool, inside, order = pools(4), [], []
    lane = pool.new_serial_queue()

    def body(number):
        inside.append(number)
        assert inside == [number], "two jobs of one lane run at once"
        order.append(number)
        inside.remove(number)

    jobs = [submit(pool, lambda n=n: body(n), lane=lane) for n in range(40)]
    for job in jobs:
        passed(job.started)
    submit(pool, (last := threading.Event()).set, lane=lane)
    passed(last)
    assert order == list(range(40))


def test_a_job_that_waits_for_its_lane_leaves_the_workers_to_others(pools):
    pool = pools(2)
    lane, other_lane = pool.new_serial_queue(), pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    second = submit(pool, lane=lane)
    assert pool.queued == 1
    for free in (submit(pool), submit(pool, lane=other_lane)):
        passed(free.started)
    assert not second.started.is_set()
    first.leave.set()
    passed(second.started)


def test_a_job_that_waits_for_its_lane_can_be_taken_back(pools):
    pool = pools(2)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    second, third = submit(pool, lane=lane), submit(pool, lane=lane)
    assert pool.discard(second) is True
    assert pool.discard(second) is False
    assert pool.queued == 1
    first.leave.set()
    passed(third.started)
    assert second.runs == 0


def test_a_job_that_is_taken_back_with_the_lane_in_hand_passes_it_on(pools):
    pool = pools(1)
    lane = pool.new_serial_queue()
    (running,) = occupy(pool)
    owner, heir = submit(pool, lane=lane), submit(pool, lane=lane)
    assert pool.discard(owner) is True
    running.leave.set()
    passed(heir.started)
    assert owner.runs == 0


def test_a_job_that_raises_gives_its_lane_up(pools, monkeypatch):
    monkeypatch.setattr("sys.excepthook", lambda *error: None)
    pool = pools(2)
    lane = pool.new_serial_queue()
    submit(pool, lambda: 1 / 0, lane=lane)
    passed(submit(pool, lane=lane).started)


def test_a_job_taken_back_while_its_lane_is_passed_on_breaks_nothing(pools):
    """The race is forced: the lane's queue has the other thread run while it is asked for jobs."""
    pool = pools(1)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    armed = threading.Event()

    class Racing(deque):
        def __len__(self):
            length = super().__len__()
            race()
            return length

        def popleft(self):
            race()
            return super().popleft()

    def race():
        if armed.is_set():
            armed.clear()
            # it ends at once, or waits (for a lock) until this here is over
            in_thread(pool.discard, second).join(0.3)

    lane.waiting = Racing(lane.waiting)
    second = submit(pool, lane=lane)
    armed.set()
    first.leave.set()
    wait_until(lambda: not armed.is_set(), "the race")
    third = submit(pool, lane=lane)
    passed(third.started)


def test_jobs_that_wait_for_their_lane_are_run_after_close_too(pools):
    pool = pools(1)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    second = submit(pool, lane=lane)
    pool.close()
    first.leave.set()
    assert second.started.wait(WAIT_S), "the job was accepted, but is not run"


def test_jobs_that_wait_for_their_lane_count_for_the_limit(pools):
    pool = pools(4, 2)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    waiting = [submit(pool, lane=lane) for _ in range(2)]
    with pytest.raises(PoolFull):
        submit(pool, lane=lane)
    first.leave.set()
    for job in waiting:
        passed(job.started)


def test_a_full_lane_does_not_keep_others_from_free_workers(pools):
    pool = pools(3, 3)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    for _ in range(3):
        submit(pool, lane=lane)
    free = submit(pool)  # it does not have to wait: two workers are free
    passed(free.started)
    first.leave.set()


def test_of_a_queue_with_a_limit_so_many_run_and_no_more(pools):
    pool = pools(4)
    lane = pool.new_serial_queue(2)
    first, second = occupy(pool, 2, lane)
    third, fourth = submit(pool, lane=lane), submit(pool, lane=lane)
    assert pool.queued == 2
    for free in (submit(pool), submit(pool)):
        passed(free.started)  # who waits for a turn occupies no worker
    assert not third.started.is_set()
    second.leave.set()
    passed(third.started)
    first.leave.set()
    passed(fourth.started)


def test_turns_of_a_queue_with_a_limit_are_given_back(pools):
    pool, inside, most = pools(8), [], []
    lane = pool.new_serial_queue(3)

    def body(number):
        inside.append(number)
        most.append(len(inside))
        inside.remove(number)

    jobs = [submit(pool, lambda n=n: body(n), lane=lane) for n in range(60)]
    for job in jobs:
        passed(job.started)
    wait_until(lambda: lane.running == 0, "every turn given back")
    assert max(most) <= 3
    assert lane.try_enter()
    assert not lane.busy
    assert lane.try_enter()
    assert lane.try_enter()
    assert lane.busy
    assert not lane.try_enter()


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_job_costs_does_not_depend_on_how_many_lanes_there_are(pools, waits):
    def instructions(lanes):
        """How many of Python's it takes to submit a job, while others wait for a worker, or for their lane."""
        pool = pools(1, 100)
        made = [pool.new_serial_queue() for _ in range(lanes)]
        (first,) = occupy(pool, 1, made[0])
        if waits:
            submit(pool, lane=made[0])
        submit(pool)
        job, count = Job(), 0

        def step(frame, event, argument):
            nonlocal count
            frame.f_trace_opcodes = True
            count += event == "opcode"
            return step

        outer = sys.gettrace()
        sys.settrace(step)
        try:
            pool.submit(job)
        finally:
            sys.settrace(outer)
        assert pool.queued == 2 + waits
        first.leave.set()
        return count

    assert instructions(1000) < instructions(2) + 50
