"""The pool: what is accepted runs once, in order, on few threads; what does not fit is refused."""

import gc
import sys
import threading
import time
import weakref

import pytest

from bridge import calls
from bridge.calls.errand import run_on_worker
from bridge.calls.interfaces import Output
from bridge.calls.pool import Pool
from bridge.errors import PoolFull, ShuttingDown
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until


class Job(calls.Job):
    """Runs ``body`` on a worker, then ends when ``leave`` is set (as it is unless it is held)."""

    is_over = False

    def __init__(self, body=lambda: None, lane=None, held=False):
        self.serial = lane
        self.body = body
        self.runs = 0
        self.thread = None
        self.started = threading.Event()
        self.leave = threading.Event()
        if not held:
            self.leave.set()

    def run(self, worker, now):
        self.runs += 1
        self.thread = threading.current_thread()
        self.started.set()
        passed(self.leave)
        self.body()
        return time.monotonic()


@pytest.fixture
def pools():
    """Makes pools that are closed afterwards."""
    made = []

    def make(max_workers, max_queue=100, output=None):
        made.append(Pool(max_workers, max_queue, output))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def submit(pool, *args, **options):
    job = Job(*args, **options)
    pool.submit(job)
    return job


def occupy(pool, count=None, lane=None):
    """Occupy workers (all of them by default); returns the jobs, which are held."""
    jobs = []
    for _ in range(count or pool.max_workers):
        jobs.append(submit(pool, held=True, lane=lane))
        passed(jobs[-1].started)
    return jobs


@pytest.mark.parametrize(("max_workers", "max_queue"), [(0, 1), (-1, 1), (1, -1)])
def test_a_pool_needs_a_worker_and_no_negative_queue(max_workers, max_queue):
    with pytest.raises(ValueError, match="a pool of"):
        Pool(max_workers, max_queue)


@pytest.mark.parametrize("in_turn", [False, True], ids=["any", "serial"])
def test_a_worker_whose_job_is_over_is_as_good_as_free(pools, in_turn):
    pool = pools(2, 0)
    lane = pool.new_serial_queue() if in_turn else None
    first, second = occupy(pool, 1, lane)[0], occupy(pool, 1)[0]
    with pytest.raises(PoolFull):
        submit(pool, lane=lane)

    first.is_over = True
    next_one = submit(pool, lane=lane)
    with pytest.raises(PoolFull):
        submit(pool, lane=lane)  # one place is one place

    first.leave.set()
    passed(next_one.started)
    second.leave.set()


def test_what_is_no_call_waits_though_the_queue_is_full(pools):
    pool, outcome = pools(1, 0), []
    (held,) = occupy(pool)
    with pytest.raises(PoolFull):
        submit(pool)
    waiting = in_thread(lambda: outcome.append(run_on_worker(pool, lambda: "done")))
    wait_until(lambda: pool.queued == 1)
    held.leave.set()
    join(waiting)
    assert outcome == ["done"]


def test_jobs_run_once_and_in_the_order_of_submission(pools):
    pool, order = pools(1), []
    jobs = [submit(pool, lambda n=n: order.append(n)) for n in range(50)]
    submit(pool, (last := threading.Event()).set)
    passed(last)
    assert order == list(range(50))
    assert [job.runs for job in jobs] == [1] * 50


def test_jobs_of_many_submitters_all_run_once(pools):
    pool = pools(3, 1000)
    jobs = [[Job() for _ in range(100)] for _ in range(4)]
    together = threading.Barrier(4, timeout=WAIT_S)

    def work(mine):
        together.wait()
        for job in mine:
            pool.submit(job)

    join(*(in_thread(work, mine) for mine in jobs))
    everyone = [job for mine in jobs for job in mine]
    for job in everyone:
        passed(job.started)
    assert {job.runs for job in everyone} == {1}
    assert len(pool.workers) <= 3


def test_all_workers_are_used_and_never_more(pools):
    pool, lock, inside, most = pools(3), threading.Lock(), 0, 0
    together = threading.Barrier(3, timeout=WAIT_S)

    def body():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait()
        with lock:
            inside -= 1

    jobs = [submit(pool, body) for _ in range(30)]
    wait_until(lambda: sum(worker.jobs for worker in pool.workers) == 30)
    assert most == 3
    assert len({job.thread for job in jobs}) == len(pool.workers) == 3


def test_threads_are_started_when_they_are_needed(pools):
    pool = pools(3)
    assert pool.workers == []
    held = occupy(pool, 1)
    assert len(pool.workers) == 1
    held += occupy(pool, 1)
    assert len(pool.workers) == 2
    for job in held:
        job.leave.set()


@pytest.mark.parametrize("max_workers", [1, 3])
@pytest.mark.parametrize("max_queue", [0, 1, 4])
def test_the_pool_is_full_at_exactly_workers_and_queue(pools, max_workers, max_queue):
    pool = pools(max_workers, max_queue)
    running = occupy(pool)
    waiting = [submit(pool) for _ in range(max_queue)]
    assert pool.queued == max_queue
    with pytest.raises(PoolFull, match=f"{max_workers} workers are busy and {max_queue} calls wait") as full:  # fmt: skip
        submit(pool)
    assert full.value.started is False
    for job in running:
        job.leave.set()
    for job in waiting:
        passed(job.started)


@pytest.mark.parametrize("max_queue", [0, 1, 4])
def test_a_burst_before_any_thread_runs_is_accepted_up_to_workers_and_queue(pools, monkeypatch, max_queue):  # fmt: skip
    let_run = threading.Event()

    class SlowToStart(threading.Thread):
        def run(self):
            passed(let_run)
            super().run()

    monkeypatch.setattr(threading, "Thread", SlowToStart)
    pool = pools(3, max_queue)
    try:
        jobs = [submit(pool, held=True) for _ in range(3 + max_queue)]
        with pytest.raises(PoolFull):
            submit(pool)
    finally:
        let_run.set()
    for job in jobs:
        job.leave.set()
    for job in jobs:
        passed(job.started)


def test_a_finished_job_makes_room(pools):
    pool = pools(1, 0)
    (running,) = occupy(pool)
    running.leave.set()

    def accepted():
        try:
            submit(pool)
        except PoolFull:
            return False
        return True

    wait_until(accepted, "room after the only job ended")


def test_a_waiting_job_can_be_taken_back_once(pools):
    pool = pools(1, 1)
    (running,) = occupy(pool)
    waiting = submit(pool)
    assert pool.discard(waiting) is True
    assert pool.discard(waiting) is False
    assert pool.queued == 0
    after = submit(pool)  # in the place of the other
    running.leave.set()
    passed(after.started)
    assert waiting.runs == 0


def test_a_job_that_has_started_or_ended_or_never_came_cannot_be_taken_back(pools):
    pool = pools(1)
    (running,) = occupy(pool)
    assert pool.discard(running) is False
    assert pool.discard(Job()) is False
    running.leave.set()
    passed(submit(pool).started)
    assert pool.discard(running) is False
    assert running.runs == 1


def test_a_job_that_raises_is_reported_and_its_worker_goes_on(pools, monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: reported.append(error))
    pool, failures = pools(1), [ValueError("a bug"), SystemExit(3), KeyboardInterrupt()]

    def fail(error):
        raise error

    jobs = [submit(pool, lambda error=error: fail(error)) for error in failures]
    jobs.append(submit(pool))
    passed(jobs[-1].started)
    assert reported == failures
    assert len({job.thread for job in jobs}) == 1
    wait_until(lambda: pool.workers[0].jobs == 4)
    assert pool.workers[0].job is None


def test_a_worker_shows_what_it_runs_and_what_it_ran(pools):
    pool = pools(1)
    before = time.monotonic()
    (running,) = occupy(pool)
    (worker,) = pool.workers
    assert worker.job is running
    assert before <= worker.since <= time.monotonic()
    running.leave.set()
    wait_until(lambda: worker.jobs == 1)
    assert worker.job is None
    assert 0 <= worker.busy_s <= time.monotonic() - before


class Heard(Output):
    """Output that always waits, and notes what it is told."""

    def __init__(self, heard, done):
        self.heard, self.done = heard, done

    def waits(self):
        return True

    def flush(self):
        self.heard.append("flush")
        self.done.set()

    def nudge(self):
        self.heard.append("nudge")


def test_the_output_is_told_whether_the_worker_has_more_to_do(pools):
    heard, done = [], threading.Event()
    pool = pools(1, output=Heard(heard, done))
    (running,) = occupy(pool)
    others = [submit(pool, lambda: heard.append("job")) for _ in range(2)]
    heard.clear()
    done.clear()
    running.leave.set()
    passed(done)
    assert heard == ["nudge", "job", "nudge", "job", "flush"]
    assert all(job.runs == 1 for job in others)


def test_what_a_job_holds_is_released_when_it_ended(pools):
    pool = pools(1)
    gc.disable()  # promptly: not only when the collector comes by
    try:
        job = submit(pool)
        passed(job.started)
        released = weakref.ref(job)
        del job
        wait_until(lambda: released() is None, "the job's end")
    finally:
        gc.enable()


def test_after_close_nothing_is_accepted_what_waits_is_run_and_threads_end(pools):
    pool = pools(2)
    running = occupy(pool)
    waiting = [submit(pool) for _ in range(5)]
    pool.close()
    with pytest.raises(ShuttingDown) as refused:
        submit(pool)
    assert refused.value.started is False
    for job in running:
        job.leave.set()
    for job in waiting:
        passed(job.started)
    join(*(job.thread for job in running))


def test_a_job_that_comes_while_the_only_worker_takes_another_does_not_wait_for_it(pools):
    class Idle(list):
        """Where the threads must be switched, and no test could wait for it."""

        at_remove = None

        def remove(self, worker):
            if self.at_remove is not None:
                pool.submit(self.at_remove)
                self.at_remove = None
            super().remove(worker)

    pool = pools(4)
    pool._idle = idle = Idle()
    submit(pool)
    wait_until(lambda: idle and pool.workers[0].jobs == 1, "the worker to sleep")
    idle.at_remove = late = Job()
    first = submit(pool, held=True)
    # before a job that is held gives up
    assert late.started.wait(WAIT_S / 4), "it waits for the other job"
    first.leave.set()
