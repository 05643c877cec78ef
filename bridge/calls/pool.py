"""The one pool of threads that runs every tool, whatever transport its call came from.

Guarantees:

- A job that was accepted and not discarded is run exactly once.
- Jobs start in the order of submission, except those of a busy serial queue.
- ``submit`` never blocks. No job waits while a worker is free or could be started.
- What a job leaves to be written does not wait for the next job of its worker.

Assumes that ``append``, ``pop`` and ``remove`` of ``deque`` and ``list`` are atomic, which they are
with the GIL and without. Nearly everything is decided without a lock; ``_growing`` is held only
while a thread is added.

Waking a thread costs more than a short job. So a worker takes jobs until there are none; a token
wakes one sleeper at a time (``_waking``: one is on its way), and that one wakes the next if it
finds more to do. So a woken worker is also the lookout for output that another leaves behind, and
whoever takes a job, woken or not, sees to it that there is another lookout if something waits.

The interleavings, each with its number where it is harmless and why (and its test):

1. A worker finds no job, and one is submitted before it counts as idle: nobody would wake it.
   The submitter puts the job first and looks for a sleeper then; the worker does it the other way
   round: it counts as idle first, and looks once more for a job before it sleeps.
   (``test_a_job_that_comes_while_the_worker_falls_asleep_is_run``)
2. Two jobs come while one token is on its way: the second submitter wakes nobody. Whoever takes
   a job and sees another behind it wakes the next sleeper before it begins.
   (``test_of_two_jobs_that_come_at_once_neither_waits_for_the_other``)
3. A job comes while the only free worker takes another job but still counts as idle: the
   submitter starts no thread. The worker looks for such a job when it stops counting as idle, and
   starts one. (``test_a_job_that_comes_while_the_only_worker_takes_another_does_not_wait_for_it``)
4. A worker has a job done and takes the next, which lasts: what the first left to be written would
   wait for it. Before it begins it wakes a lookout, or has the output's own thread write.
   (``test_the_output_is_told_whether_the_worker_has_more_to_do``) The lookout may find a job as
   well, and then it is none: so every worker looks before it begins a job, also one that has just
   woken up. (``test_a_lookout_that_finds_a_job_leaves_no_output_behind``)
5. A worker's place is given to a new thread while its job runs (``relieve``): two threads have the
   same ``Worker``. The old one finds out when its job is done, touches nothing and ends.
   (``test_the_end_of_a_relieved_job_does_not_touch_what_its_worker_runs_now``)
6. A token is taken by a worker for which there is no job any more, because another that never
   slept has taken it. It clears ``_waking`` all the same, so that the next job wakes somebody.
   (``test_a_token_that_wakes_in_vain_stops_no_later_one``)
7. The worker that a token was for takes a job before it sleeps, so the token is on its way to
   nobody, for as long as nobody rests. Whoever begins a job relies on it only while somebody counts
   as idle; that one has yet to look, as it stops counting as idle first.
   (``test_a_token_that_nobody_will_take_is_not_relied_on``)
8. No thread can be started for a worker that counts as idle already, and others rely on it. It is
   taken back, and the job waits for the workers that there are; as long as none ever was, whoever
   submits a job tries for itself, and is refused.
   (``test_where_no_thread_can_be_started_the_workers_that_there_are_run_all``)
9. A caller has its answer, and calls again, before the worker that gave it is idle. So one whose
   job is over counts as free. One that has just taken a job may, too: then one more waits than may.
   (``test_a_worker_whose_job_is_over_is_as_good_as_free``)
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque

from ..errors import PoolFull, ShuttingDown
from ..threads import SimpleQueue, start_thread
from .interfaces import Output
from .job import SerialQueue, Turns, Worker, WorkerThread, count_busy
from .replacements import Replacements
from .tool_threads import ToolThreads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .job import Job

#: After no thread could be started, none is tried for so long.
_RETRY_S = 0.1


class Pool:
    """At most ``max_workers`` threads, started when they are needed, and a bounded queue.

    Args:
        max_workers: how many threads run jobs, at least 1.
        max_queue: how many jobs may wait; one more is refused at once.
        output: what workers leave to be written. It is flushed by every worker before it sleeps,
            and nudged by a worker that goes on to another job and has no sleeper to wake.
            Default: jobs that write nothing.
        threads: what its threads have in common, made for as many; default: nothing.
        spare: how many threads may run what nobody awaits, while others have their places.
    """

    def __init__(
        self,
        max_workers: int,
        max_queue: int,
        output: Output | None = None,
        threads: ToolThreads | None = None,
        spare: int = 0,
    ) -> None:
        if max_workers < 1 or max_queue < 0:
            raise ValueError(f"a pool of {max_workers} workers with a queue of {max_queue}")
        self.max_workers = max_workers
        self.max_queue = max_queue
        self.threads = threads or ToolThreads(single=max_workers == 1)
        self.workers: list[Worker] = []
        #: Threads from elsewhere that run jobs as well, each with a worker for its account.
        self.guests: list[Worker] = []
        self.output = output or Output()
        self._jobs: deque[Job] = deque()
        self._idle: list[Worker] = []
        #: True wakes a worker, False ends it.
        self._tokens: SimpleQueue[bool] = self.threads.new_queue()
        self._waking = False
        self._turns = Turns()
        self._receivers: Pool | None = None
        self._growing = threading.Lock()
        self.replacements = Replacements(
            self.workers, self._idle, self._growing, self._start, spare
        )
        self.closed = False
        self._serves = False  # a worker has started: from then on every job finds one
        self._retry_at = 0.0
        self._lacks_threads = False  # the last one that was wanted could not be started

    def __repr__(self) -> str:
        busy = sum(worker.job is not None for worker in self.workers)
        return f"<Pool {busy} of {self.max_workers} busy, {self.queued} queued>"

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        waiting = len(self._jobs) + self._turns.waiting
        return waiting if self._receivers is None else waiting + self._receivers.queued

    @property
    def is_full(self) -> bool:
        """Whether no worker can be added: there are ``max_workers``, or no thread for another."""
        return len(self.workers) >= self.max_workers or self._lacks_threads

    @property
    def has_room(self) -> bool:
        """Whether a worker is free, or can be added, for one job more than those that wait."""
        return self._free() > len(self._jobs)

    def new_serial_queue(self, limit: int = 1) -> SerialQueue:
        """Make a queue for jobs of which at most ``limit`` may run at the same time."""
        return SerialQueue(limit, self._turns)

    def new_guest(self, name: str) -> Worker:
        """Make a worker for a thread that runs jobs without being one of the pool's."""
        guest = Worker(name)
        self.guests.append(guest)
        return guest

    def new_receivers(self, number: int) -> Pool:
        """Make threads for jobs that wait for a peer before they become calls here, and count here:
        for one worker, whose thread nobody may replace, as the adapter may depend on it."""
        self._receivers = Pool(number, self.max_queue)
        return self._receivers

    def everyone(self) -> list[Worker]:
        """The workers, those that were replaced, the guests, and those that receive."""
        receivers = () if self._receivers is None else self._receivers.workers
        return [*self.workers, *self.replacements.workers, *self.guests, *receivers]

    def submit(self, job: Job, may_wait: bool = False) -> None:
        """Run the job on a worker, soon. Any thread, never blocks.

        Raises ``PoolFull`` if it would have to wait and the queue is full, unless it ``may_wait``,
        or there is no worker and no thread for one, ``ShuttingDown`` after ``close``.
        """
        if self.closed:
            raise ShuttingDown("the bridge is shutting down", started=False)
        if (len(self._jobs) >= self.max_queue or self._turns.waiting) and not may_wait:
            self._check_room(job)
        if job.serial is None or job.serial.enter(job):
            self._enqueue(job)
            if not self._serves and not self._grow() and self.discard(job):  # (8)
                raise PoolFull(
                    "there is no worker, and no thread can be started for one: the process may "
                    "have no more (ulimit -u, the container's limit of pids, memory)",
                    started=False,
                )

    def discard(self, job: Job) -> bool:
        """Take a job back that has not started. False if it has, or is not here."""
        serial = job.serial
        if serial is not None and serial.discard(job):
            return True
        try:
            self._jobs.remove(job)
        except ValueError:
            return False
        if serial is not None:
            self.leave(serial)
        return True

    def withdraw(self) -> list[Job]:
        """Take back all jobs that have not started, but those that wait for their turn in a serial queue."""
        jobs: list[Job] = []
        while True:
            try:
                jobs.append(self._jobs.popleft())
            except IndexError:
                return jobs

    def relieve(self, worker: Worker) -> bool:
        """Put a new thread in the place of one that runs a job and has nothing to do but wait.

        The old thread ends with its job and counts no more. Any thread may call, but only while
        the job runs.

        Returns:
            False if no thread can be had now: the old one keeps its place.
        """
        thread, job, variables = worker.thread, worker.job, worker.variables
        worker.job = worker.variables = None
        worker.jobs += 1
        self._idle.append(worker)
        if not self._start(worker):
            self._idle.remove(worker)
            worker.thread, worker.job, worker.variables = thread, job, variables
            worker.jobs -= 1
            return False
        return True

    def leave(self, serial: SerialQueue) -> None:
        """End a turn that began with ``try_enter``: the next job of the queue may start."""
        job = serial.leave()
        if job is not None:
            self._enqueue(job)

    def close(self) -> None:
        """Accept no more jobs; workers end after what is queued. Does not wait for them."""
        self.closed = True
        if self._receivers is not None:
            self._receivers.close()
        for _ in range(self.max_workers):
            self._tokens.put(False)

    def _free(self) -> int:
        return len(self._idle) + self.max_workers - len(self.workers)

    def _check_room(self, job: Job) -> None:
        """Raise ``PoolFull`` if the job would have to wait, and there is no room for it."""
        if self._lacks_room(job, self._free(), 0):
            busy, turns = count_busy(self.workers, job.serial)
            if self._lacks_room(job, self.max_workers - busy, turns):  # (9)
                raise PoolFull(
                    f"{self.max_workers} workers are busy and {self.queued} calls wait, which is "
                    "the limit (--max-queue); try again later",
                    started=False,
                )

    def _lacks_room(self, job: Job, free: int, turns: int) -> bool:
        """Whether a job has to wait and may not, if so many workers are free, and turns in its queue over."""
        serial = job.serial
        beyond = len(self._jobs) - free  # jobs that no free worker is about to take
        if beyond < 0 and (serial is None or serial.wanted - turns < serial.limit):
            return False
        return self._turns.waiting + max(beyond, 0) >= self.max_queue

    def _enqueue(self, job: Job) -> None:
        self._jobs.append(job)  # (1) first the job, then the look for a sleeper
        if self._idle and not self._waking:
            self._waking = True
            self._tokens.put(True)
        if len(self.workers) < self.max_workers and len(self._jobs) > len(self._idle):
            self._grow()

    def _grow(self) -> bool:
        """Add a worker. False if there is no thread for one."""
        with self._growing:
            if len(self.workers) == self.max_workers:
                return True
            if self._serves and time.monotonic() < self._retry_at:
                return False
            worker = Worker(f"bridge-worker-{len(self.workers) + 1}")
            self.workers.append(worker)
            self._idle.append(worker)
            self._lacks_threads = not self._start(worker)
            if not self._lacks_threads:
                self._serves = True
                return True
            self._idle.remove(worker)  # (8)
            self.workers.remove(worker)
            self._retry_at = time.monotonic() + _RETRY_S
            return False

    def _start(self, worker: Worker) -> bool:
        worker.thread = thread = WorkerThread(self._live, worker)
        return start_thread(thread)

    def _live(self, worker: Worker) -> None:
        try:
            self._work(worker)
        finally:
            self.threads.leave()

    def _work(self, worker: Worker) -> None:
        thread = worker.thread
        jobs, idle, output, clock = self._jobs, self._idle, self.output, time.monotonic
        now = 0.0
        resting = True  # is it in _idle? There it counts as free until it has a job in hand
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                if not resting:
                    output.flush()
                    idle.append(worker)
                    resting = True  # (1) and look once more, for whoever has not seen it there
                elif self._tokens.get():
                    self._waking = False  # (6)
                    if not jobs:
                        # woken as a lookout
                        idle.remove(worker)
                        resting = False
                else:
                    return
                continue
            if resting:
                now = clock()
            worker.since = now
            worker.job = job
            if resting:
                resting = False
                idle.remove(worker)
                if jobs and not idle and len(self.workers) < self.max_workers:
                    self._grow()  # (3)
            if (jobs or output.waits()) and not (self._waking and idle):  # (7)
                self._call_lookout()  # (2) for the jobs, (4) for the output
            try:
                now = job.run(worker, now)
            except BaseException as error:
                # a bug in the bridge; the pool must not lose a thread by it
                sys.excepthook(type(error), error, error.__traceback__)
                now = clock()
            if worker.thread is not thread:
                if worker.thread is None:
                    self.replacements.retire(worker)
                return  # (5) it was relieved, or replaced
            if job.serial is not None:
                self.leave(job.serial)  # (9)
            worker.job = None
            worker.jobs += 1
            worker.busy_s += now - worker.since
            del job  # what the job holds must not live until the next one

    def _call_lookout(self) -> None:
        """This worker is about to be busy: have another look after what waits meanwhile."""
        if self._idle:
            self._waking = True
            self._tokens.put(True)
        else:
            self.output.nudge()
