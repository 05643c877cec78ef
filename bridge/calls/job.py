"""What the pool runs, where it runs, and what keeps jobs apart that must not run together."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque

from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context as Variables

    from ..errors import CallError


class Job(ABC):
    """A piece of work for one worker of the pool.

    ``serial``: the queue of jobs that never run at the same time as this one; None: no such queue.
    """

    __slots__ = ()

    serial: SerialQueue | None

    @property
    def is_over(self) -> bool:
        """Whether it has given its answer, so that its worker is about to be free. Any thread."""
        return False

    @abstractmethod
    def run(self, worker: Worker, now: float) -> float:
        """Do the work. Must not raise.

        Args:
            worker: where the work is done; this is its thread.
            now: when the worker took the job, an instant of ``time.monotonic()``.

        Returns:
            When the work ended, as ``now``.
        """


class NestableJob(Job):
    """A job that others can be made within, while it waits for the program that calls: see ``nesting.py``.

    ``outer``: the one within which it was made; None: none, or that is over. ``started``: whether it
    may have begun. ``nested``: where what is made within it runs while it waits. ``interruption``: why
    nobody waits for it any more.
    """

    outer: NestableJob | None
    started: bool
    nested: Any  # of NestedCalls, which knows this class
    interruption: CallError | None

    @property
    @abstractmethod
    def tool_name(self) -> str:
        """What it runs."""

    @property
    @abstractmethod
    def on_loop(self) -> bool:
        """Whether it is a task of the event loop, and needs no worker."""

    @property
    @abstractmethod
    def answered(self) -> bool:
        """Whether somebody has claimed the answer."""

    @property
    def is_over(self) -> bool:
        # what was interrupted is answered, and may go on
        return self.answered and self.interruption is None


class Worker:
    """One place in the pool, and the thread that has it. It alone writes here; anybody may read.

    ``job``: what it runs now, since ``since``; None: nothing; ``jobs`` and ``busy_s``: what it ran so far.
    ``stats`` belongs to whoever submits the jobs: counters that need no lock. ``variables``: with which
    calls on its thread begin; None: its thread has not begun to run calls. ``replaced``: its thread once
    another worker has its place; ``thread`` is None then.
    """

    __slots__ = (
        "name",
        "thread",
        "job",
        "since",
        "jobs",
        "busy_s",
        "stats",
        "variables",
        "replaced",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.thread: threading.Thread | None = None
        self.job: object = None
        self.since = 0.0
        self.jobs = 0
        self.busy_s = 0.0
        self.stats: dict[Any, Any] = {}
        self.variables: Variables | None = None
        self.replaced: threading.Thread | None = None


class WorkerThread(threading.Thread):
    """The thread of a worker, for as long as that is so (``Worker.thread``).

    Args:
        live: what it runs, with the worker.
        worker: whose it is.
    """

    def __init__(self, live: Callable[[Worker], object], worker: Worker) -> None:
        super().__init__(target=live, args=(worker,), name=worker.name, daemon=True)
        self.worker = worker


def worker_here(everyone: Callable[[], list[Worker]]) -> Worker | None:
    """The worker whose thread calls this, of those that there are; None: it is none of theirs."""
    here = threading.current_thread()
    if isinstance(here, WorkerThread) and here.worker.thread is here:
        return here.worker
    return next((each for each in everyone() if each.thread is here), None)


def count_busy(workers: list[Worker], serial: SerialQueue | None) -> tuple[int, int]:
    """How many workers run what is not over, and how many others have a turn in that queue still."""
    jobs: list[Any] = [worker.job for worker in workers]
    over = [job for job in jobs if job is not None and job.is_over]
    busy = len(jobs) - jobs.count(None) - len(over)
    return busy, sum(job.serial is serial for job in over)


class Turns:
    """What the serial queues of one pool share: a lock, and ``waiting``, how many jobs wait in all of them.

    It is asked for with nearly every call, and there may be as many queues as tools.
    """

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


class SerialQueue:
    """Lets one job at a time run, or a few. One that waits occupies no worker. Any thread may use it.

    Args:
        limit: how many may run at once, at least 1.
        turns: what it shares with other queues; default: there are none.
    """

    __slots__ = ("_turns", "_lock", "limit", "running", "waiting")

    def __init__(self, limit: int = 1, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._lock = self._turns.lock
        self.limit = limit
        #: How many have their turn, or are about to.
        self.running = 0
        self.waiting: deque[Job] = deque()

    @property
    def busy(self) -> bool:
        """Whether the next job would have to wait."""
        return self.running >= self.limit

    @property
    def wanted(self) -> int:
        """How many jobs have their turn, or wait for it."""
        return self.running + len(self.waiting)

    def enter(self, job: Job) -> bool:
        """True: it is the turn of the job. False: it waits, and ``leave`` will return it."""
        with self._lock:
            if self.running >= self.limit:
                self.waiting.append(job)
                self._turns.waiting += 1
                return False
            self.running += 1
            return True

    def try_enter(self) -> bool:
        """True: it is the caller's turn. False: it is others', and nothing waits for it."""
        with self._lock:
            if self.running >= self.limit:
                return False
            self.running += 1
            return True

    def discard(self, job: Job) -> bool:
        """Take back a job that waits. False if it does not."""
        with self._lock:
            try:
                self.waiting.remove(job)
            except ValueError:
                return False
            self._turns.waiting -= 1
            return True

    def leave(self) -> Job | None:
        """End a turn. Returns the job whose turn it is now, or None."""
        with self._lock:
            if self.waiting:
                self._turns.waiting -= 1
                return self.waiting.popleft()
            self.running -= 1
            return None
