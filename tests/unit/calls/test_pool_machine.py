"""The pool against a model: random submissions, jobs taken back and ended, on real threads.

The model knows who runs and who waits. After each step the machine waits until the pool has come
to rest: the jobs that must run have started. Then nothing else may have.
"""

import threading
import time

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import calls
from bridge.calls.pool import Pool
from bridge.errors import PoolFull
from tests.waiting import WAIT_S, passed, wait_until


class Job(calls.Job):
    def __init__(self, lane):
        self.serial = lane
        self.started, self.leave, self.ended = (threading.Event() for _ in range(3))
        self.runs = 0
        self.discarded = False

    def run(self, worker, now):
        self.runs += 1
        self.started.set()
        passed(self.leave)
        self.ended.set()
        return time.monotonic()


class PoolMachine(RuleBasedStateMachine):
    """Jobs without lanes."""

    @initialize(max_workers=st.integers(1, 3), max_queue=st.integers(0, 3))
    def make(self, max_workers, max_queue):
        self.pool = Pool(max_workers, max_queue)
        self.serial = self.pool.new_serial_queue() if isinstance(self, LaneMachine) else None
        self.accepted = []
        self.running = []
        self.ready = []
        self.in_lane = []
        self.serial_owner = None

    @rule()
    def submit(self):
        self._submit(None)

    def _submit(self, lane):
        job = Job(lane)
        lane_busy = lane is not None and self.serial_owner is not None
        must_wait = lane_busy or len(self.running) == self.pool.max_workers
        if must_wait and len(self.ready) + len(self.in_lane) == self.pool.max_queue:
            assert not self._accepts(job), "more jobs wait than may"
            return
        # a worker that has just ended a job may need a moment to be free again
        wait_until(lambda: self._accepts(job), "a free place")
        self.accepted.append(job)
        if lane_busy:
            self.in_lane.append(job)
            return
        self.ready.append(job)
        if lane is not None:
            self.serial_owner = job

    def _accepts(self, job):
        try:
            self.pool.submit(job)
        except PoolFull:
            return False
        return True

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def discard(self, data):
        job = data.draw(st.sampled_from(self.accepted))
        waits = job in self.ready or job in self.in_lane
        assert self.pool.discard(job) is waits
        if waits:
            job.discarded = True
            (self.ready if job in self.ready else self.in_lane).remove(job)
            self._pass_on(job)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data):
        job = data.draw(st.sampled_from(self.running))
        job.leave.set()
        passed(job.ended)
        self.running.remove(job)
        self._pass_on(job)

    def _pass_on(self, job):
        if job is self.serial_owner:
            self.serial_owner = self.in_lane.pop(0) if self.in_lane else None
            if self.serial_owner is not None:
                self.ready.append(self.serial_owner)

    @invariant()
    def the_pool_does_what_the_model_does(self):
        if not hasattr(self, "pool"):
            return
        while self.ready and len(self.running) < self.pool.max_workers:
            self.running.append(self.ready.pop(0))
        for job in self.running:
            passed(job.started)
        assert len(self.pool.workers) <= self.pool.max_workers
        assert self.pool.queued == len(self.ready) + len(self.in_lane) <= self.pool.max_queue
        for job in (*self.ready, *self.in_lane):
            assert not job.started.is_set()

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        for job in self.accepted:
            job.leave.set()
        for job in self.accepted:
            assert job.discarded or job.ended.wait(WAIT_S)
        self.pool.close()
        assert {job.runs for job in self.accepted if job.discarded} <= {0}
        assert {job.runs for job in self.accepted if not job.discarded} <= {1}


class LaneMachine(PoolMachine):
    """The same, and jobs of one lane among them."""

    @rule()
    def submit_to_lane(self):
        self._submit(self.serial)


TestPool = PoolMachine.TestCase
TestLanes = LaneMachine.TestCase
# A failure costs the patience of ``peers``, so there is no search for a smaller one.
TestPool.settings = TestLanes.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
)
