"""The numbered interleavings of the pool that no other test forces."""

from __future__ import annotations

import threading

from bridge.calls.interfaces import Output
from bridge.calls.pool import Pool
from tests.scripted import ScriptedTokens
from tests.waiting import WAIT_S, passed, wait_until

from .test_pool import Job, occupy, pools, submit

__all__ = ["pools"]


class AtTheLastMoment(Output):
    """Runs what the test wants when a worker has found no job and does not count as idle yet."""

    def __init__(self) -> None:
        self.script = None

    def flush(self):
        script, self.script = self.script, None
        if script is not None:
            script()


def asleep(tokens: ScriptedTokens) -> None:
    """Wait until one more worker sleeps."""
    assert tokens.asleep.acquire(timeout=WAIT_S), "no worker falls asleep"


def scripted(pool: Pool) -> ScriptedTokens:
    tokens = ScriptedTokens()
    pool._tokens = tokens
    return tokens


def test_a_job_that_comes_while_the_worker_falls_asleep_is_run(pools):
    """(1) On the worker's side."""
    output, late = AtTheLastMoment(), Job()
    pool = pools(1, output=output)
    (running,) = occupy(pool)
    output.script = lambda: pool.submit(late)
    running.leave.set()
    passed(late.started)


class OutOfDate(list):
    """A list that runs what the test wants between the look whether it is empty and the answer."""

    script = None

    def __bool__(self):
        was = len(self) > 0
        script, self.script = self.script, None
        if script is not None:
            script()
        return was


def test_a_job_is_there_before_its_submitter_looks_for_a_sleeper(pools):
    """(1) On the submitter's side: it finds nobody asleep, and then the worker falls asleep."""
    pool, late = pools(1), Job()
    pool._idle = OutOfDate()
    tokens = scripted(pool)
    (running,) = occupy(pool)

    def fall_asleep():
        running.leave.set()
        wait_until(lambda: late.started.is_set() or tokens.asleep.acquire(blocking=False))

    pool._idle.script = fall_asleep
    pool.submit(late)
    passed(late.started)


def test_of_two_jobs_that_come_at_once_neither_waits_for_the_other(pools):
    """(2)"""
    pool = pools(2)
    tokens = scripted(pool)
    for job in occupy(pool):
        job.leave.set()
    asleep(tokens), asleep(tokens)
    tokens.may_go = threading.Event()
    first = submit(pool, held=True)
    assert tokens.taken.acquire(timeout=WAIT_S)  # the token is on its way
    second = submit(pool, held=True)
    tokens.may_go.set()
    passed(first.started)
    # before a job that is held gives up
    assert second.started.wait(WAIT_S / 4), "it waits for the first, though a worker is free"
    for job in (first, second):
        job.leave.set()


def test_a_token_that_wakes_in_vain_stops_no_later_one(pools):
    """(6)"""
    pool = pools(2)
    tokens = scripted(pool)
    held, other = occupy(pool)
    other.leave.set()
    asleep(tokens)
    tokens.may_go = threading.Event()
    taken_by_another = submit(pool)
    assert tokens.taken.acquire(timeout=WAIT_S)
    held.leave.set()  # its worker is awake, and takes it before the one that was woken
    passed(taken_by_another.started)
    asleep(tokens)
    tokens.may_go.set()
    asleep(tokens)  # it found nothing
    passed(submit(pool).started)


class Left(Output):
    """Output that waits once a job has left some, until somebody is told of it."""

    def __init__(self) -> None:
        self.left = False
        self.cared_for = threading.Event()

    def leave(self) -> None:
        self.left = True

    def waits(self) -> bool:
        return self.left

    def flush(self) -> None:
        if self.left:
            self.cared_for.set()

    nudge = flush


def test_a_lookout_that_finds_a_job_leaves_no_output_behind(pools):
    """(4)"""
    output = Left()
    pool = pools(2, output=output)
    tokens = scripted(pool)
    finished, other = occupy(pool)
    other.leave.set()
    asleep(tokens)
    tokens.may_go = threading.Event()
    finished.body = output.leave
    first = submit(pool, held=True)
    assert tokens.taken.acquire(timeout=WAIT_S)  # the lookout is on its way
    finished.leave.set()
    passed(first.started)
    second = submit(pool, held=True)
    tokens.may_go.set()
    passed(second.started)
    # before a job that is held gives up
    assert output.cared_for.wait(WAIT_S / 4), "the output waits for both jobs"
    for job in (first, second):
        job.leave.set()


class AtTheAppend(list):
    """A list that runs what the test wants once something was appended."""

    script = None

    def append(self, item):
        super().append(item)
        script, self.script = self.script, None
        if script is not None:
            script()


def test_a_token_that_nobody_will_take_is_not_relied_on(pools):
    """(7)"""
    output = Left()
    pool = pools(2, output=output)
    pool._idle = AtTheAppend()
    finished, resting = occupy(pool)
    taken_at_once = []
    pool._idle.script = lambda: taken_at_once.append(submit(pool, held=True))
    resting.leave.set()
    wait_until(lambda: taken_at_once and taken_at_once[0].started.is_set())
    finished.body = output.leave
    next_one = submit(pool, held=True)
    finished.leave.set()
    passed(next_one.started)
    # before a job that is held gives up
    assert output.cared_for.wait(WAIT_S / 4), "the output waits for both jobs"
    for job in (*taken_at_once, next_one):
        job.leave.set()
