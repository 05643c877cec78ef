"""A pool whose workers are replaced while they run what nobody awaits."""

import threading

import pytest

from bridge.calls.pool import Pool
from bridge.calls.stats import ToolStats
from tests.waiting import in_thread, join, passed, wait_until

from .test_pool import Job, occupy, submit


@pytest.fixture
def pools():
    """Makes pools that are closed afterwards."""
    made = []

    def make(max_workers, spare):
        made.append(Pool(max_workers, 100, spare=spare))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


class Counting(Job):
    """A job whose end is counted on the worker that it began on, as that of a call is."""

    def run(self, worker, now):
        self.worker = worker
        worker.job = self
        ended = super().run(worker, now)
        worker.stats.setdefault("tool", ToolStats()).add(0.0, 0.0, False)
        return ended


def begin(pool):
    job = Counting(held=True)
    pool.submit(job)
    passed(job.started)
    return job


def test_another_worker_has_the_place_of_one_that_was_replaced(pools):
    pool = pools(1, 1)
    (held,) = occupy(pool)
    waiting = submit(pool)
    assert pool.replacements.replace(pool.workers[0])
    passed(waiting.started)
    assert waiting.thread is not held.thread
    assert len(pool.workers) == len(pool.replacements.workers) == 1
    assert pool.replacements.workers[0].replaced is held.thread
    held.leave.set()
    join(held.thread)
    assert pool.replacements.workers == []
    assert held.runs == waiting.runs == 1


def test_the_end_of_a_replaced_job_is_counted_and_touches_no_other(pools):
    pool = pools(1, 1)
    held = begin(pool)
    assert pool.replacements.replace(held.worker)
    other = begin(pool)
    held.leave.set()
    join(held.thread)
    assert (other.worker.job, other.worker.jobs) == (other, 0)
    assert pool.workers == [other.worker]
    other.leave.set()
    wait_until(lambda: other.worker.jobs == 1, "the other job to end")
    counted = [worker.stats.get("tool") for worker in [*pool.everyone(), pool.replacements.retired]]
    assert [stats.calls for stats in counted if stats is not None] == [1, 1]


def test_as_many_are_replaced_as_may_be_and_then_no_more(pools):
    pool = pools(1, 2)
    held = [begin(pool)]
    for _ in range(2):
        assert pool.replacements.replace(held[-1].worker)
        held.append(begin(pool))
    assert not pool.replacements.replace(held[-1].worker)
    assert pool.workers == [held[-1].worker]
    held[0].leave.set()
    join(held[0].thread)
    # there is room again
    assert pool.replacements.replace(held[-1].worker)
    passed(submit(pool).started)
    for job in held:
        job.leave.set()
    join(*(job.thread for job in held))
    assert pool.replacements.workers == []


def test_a_worker_is_replaced_once(pools):
    pool = pools(2, 8)
    held = begin(pool)
    found = []
    together = threading.Barrier(4)

    def replace():
        together.wait()
        found.append(pool.replacements.replace(held.worker))

    join(*(in_thread(replace) for _ in range(4)))
    assert sorted(found) == [False, False, False, True]
    assert len(pool.replacements.workers) == 1
    held.leave.set()


@pytest.mark.parametrize("spare", [0, 1])
def test_where_there_is_no_thread_a_worker_keeps_its_place(pools, monkeypatch, spare):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    pool = pools(1, spare)
    held = begin(pool)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert not pool.replacements.replace(held.worker)
    assert (pool.workers, pool.replacements.workers) == ([held.worker], [])
    held.leave.set()
    passed(submit(pool).started)
    assert held.thread.is_alive()
