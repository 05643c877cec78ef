"""A pool whose jobs may step aside: they give their place up, are taken back, or try a lane."""

import threading

import pytest

from bridge.calls.job import SerialQueue
from bridge.errors import ShuttingDown
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until

from .test_pool import Job, occupy, pools, submit

__all__ = ["pools"]


class Stepping(Job):
    """A job that gives its place up when it begins, and then waits."""

    def __init__(self, pool):
        super().__init__(held=True)
        self.pool = pool
        self.worker = None
        self.stepped = threading.Event()

    def run(self, worker, now):
        self.worker = worker
        self.pool.relieve(worker)
        self.stepped.set()
        return super().run(worker, now)


def step_aside(pool):
    """A job that has given its place up, and runs until it may leave."""
    job = Stepping(pool)
    pool.submit(job)
    passed(job.started)
    return job


# -- relieve --------------------------------------------------------------------------------


def test_a_job_that_was_relieved_leaves_its_place_to_another(pools):
    pool = pools(1)
    aside = step_aside(pool)
    other = submit(pool)
    passed(other.started)
    assert other.thread is not aside.thread
    aside.leave.set()
    join(aside.thread)
    assert aside.runs == other.runs == 1


def test_the_places_stay_as_many_as_they_were(pools):
    pool = pools(2, 0)
    aside = [step_aside(pool) for _ in range(5)]
    assert len(pool.workers) <= 2
    running = occupy(pool)
    assert len(pool.workers) == 2
    assert pool.queued == 0
    assert len({job.thread for job in (*aside, *running)}) == 7
    with pytest.raises(Exception, match="2 workers are busy"):
        submit(pool)
    for job in (*aside, *running):
        job.leave.set()


def test_a_job_that_was_relieved_counts_as_done_and_its_worker_as_free(pools):
    pool = pools(1)
    aside = step_aside(pool)
    (worker,) = pool.workers
    assert worker is aside.worker
    assert (worker.job, worker.jobs) == (None, 1)
    assert repr(pool) == "<Pool 0 of 1 busy, 0 queued>"
    aside.leave.set()
    join(aside.thread)
    assert worker.jobs == 1


def test_the_end_of_a_relieved_job_does_not_touch_what_its_worker_runs_now(pools):
    pool = pools(1)
    aside = step_aside(pool)
    (running,) = occupy(pool)
    aside.leave.set()
    join(aside.thread)
    (worker,) = pool.workers
    assert worker.job is running
    running.leave.set()
    wait_until(lambda: worker.job is None, "the other job to end")
    assert worker.jobs == 2
    passed(submit(pool).started)


def test_what_waits_is_run_once_its_predecessor_steps_aside(pools):
    pool = pools(1)
    (running,) = occupy(pool)
    aside = Stepping(pool)
    pool.submit(aside)
    waiting = submit(pool)
    assert not waiting.started.is_set()
    running.leave.set()
    passed(aside.stepped)
    passed(waiting.started)
    assert not aside.leave.is_set()
    aside.leave.set()


def test_threads_that_were_relieved_end_and_do_not_pile_up(pools):
    pool = pools(1)
    jobs = []
    for _ in range(20):
        jobs.append(step_aside(pool))
        jobs[-1].leave.set()
    join(*(job.thread for job in jobs))
    last = submit(pool)
    passed(last.started)
    assert last.thread not in [job.thread for job in jobs]


def test_after_close_all_threads_end_those_that_were_relieved_too(pools):
    pool = pools(2)
    aside = step_aside(pool)
    running = occupy(pool)
    late = Stepping(pool)
    pool.submit(late)
    pool.close()
    for job in running:
        job.leave.set()
    passed(late.started)
    aside.leave.set()
    late.leave.set()
    join(aside.thread, late.thread, *(job.thread for job in running))
    join(*(worker.thread for worker in pool.workers))
    with pytest.raises(ShuttingDown):
        submit(pool)


# -- withdraw -------------------------------------------------------------------------------


def test_what_has_not_started_is_taken_back_in_order(pools):
    pool = pools(1)
    (running,) = occupy(pool)
    waiting = [submit(pool) for _ in range(3)]
    assert pool.withdraw() == waiting
    assert pool.withdraw() == []
    assert pool.queued == 0
    running.leave.set()
    passed(submit(pool).started)
    assert [job.runs for job in waiting] == [0, 0, 0]
    assert running.runs == 1


def test_jobs_that_were_taken_back_make_room(pools):
    pool = pools(1, 2)
    (running,) = occupy(pool)
    for _ in range(3):
        jobs = [submit(pool), submit(pool)]
        assert pool.withdraw() == jobs
    running.leave.set()


def test_what_waits_for_a_lane_is_not_taken_back(pools):
    pool = pools(2)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    (other,) = occupy(pool, 1)
    in_lane, plain = submit(pool, lane=lane), submit(pool)
    assert pool.withdraw() == [plain]
    assert pool.queued == 1
    first.leave.set()
    passed(in_lane.started)
    other.leave.set()


def test_each_job_is_either_taken_back_or_run(pools):
    pool = pools(2, 10_000)
    jobs = [Job() for _ in range(2000)]
    together, back, over = threading.Barrier(2, timeout=WAIT_S), [], threading.Event()

    def take_back():
        together.wait()
        while not over.is_set():
            back.extend(pool.withdraw())

    thread = in_thread(take_back)
    together.wait()
    for job in jobs:
        pool.submit(job)
    wait_until(lambda: sum(job.runs for job in jobs) + len(back) >= len(jobs), "all jobs")
    over.set()
    join(thread)
    assert len(set(back)) == len(back)
    assert {job.runs for job in back} <= {0}
    assert {job.runs for job in jobs if job not in set(back)} <= {1}


# -- a lane that is tried ---------------------------------------------------------------------


def test_a_lane_is_entered_by_one_at_a_time():
    lane = SerialQueue()
    assert lane.try_enter() is True
    assert lane.try_enter() is False
    assert not lane.waiting
    assert lane.leave() is None
    assert lane.try_enter() is True


def test_a_lane_that_a_job_has_is_not_entered_and_nobody_waits_for_it(pools):
    pool = pools(2)
    lane = pool.new_serial_queue()
    (first,) = occupy(pool, 1, lane)
    assert lane.try_enter() is False
    assert pool.queued == 0
    first.leave.set()
    wait_until(lane.try_enter, "the lane")
    assert lane.try_enter() is False


def test_whoever_leaves_a_lane_lets_the_next_job_start(pools):
    pool = pools(2)
    lane = pool.new_serial_queue()
    assert lane.try_enter()
    first, second = submit(pool, lane=lane, held=True), submit(pool, lane=lane)
    assert pool.queued == 2
    pool.leave(lane)
    passed(first.started)
    assert not second.started.is_set()
    assert lane.try_enter() is False
    first.leave.set()
    passed(second.started)


def test_of_many_that_try_at_once_one_enters():
    for _ in range(50):
        lane, entered = SerialQueue(), []
        together = threading.Barrier(4, timeout=WAIT_S)

        def enter(lane=lane, entered=entered, together=together):
            together.wait()
            entered.append(lane.try_enter())

        join(*(in_thread(enter) for _ in range(4)))
        assert sorted(entered) == [False, False, False, True]
