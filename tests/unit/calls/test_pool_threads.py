"""The pool where the process may have no more threads."""

from __future__ import annotations

import threading

import pytest

from bridge.calls import event_loop, pool
from bridge.calls.deadlines import Deadlines
from bridge.calls.event_loop import EventLoop
from bridge.errors import PoolFull
from tests.waiting import passed

from .test_pool import occupy, pools, submit

__all__ = ["pools"]


def no_thread(thread: threading.Thread) -> bool:
    return False


def test_where_no_thread_can_be_started_the_workers_that_there_are_run_all(pools, monkeypatch):
    """(8)"""
    made = pools(8)
    (running,) = occupy(made, 1)
    monkeypatch.setattr(pool, "start_thread", no_thread)
    jobs = [submit(made) for _ in range(5)]
    assert len(made.workers) == 1
    assert made._idle == []
    running.leave.set()
    for job in jobs:
        passed(job.started)
    assert {job.thread for job in jobs} == {running.thread}


def test_with_no_thread_at_all_a_job_is_refused_and_the_next_one_may_find_one(pools, monkeypatch):
    """(8)"""
    made = pools(2)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "start_thread", no_thread)
        with pytest.raises(PoolFull, match="no thread can be started") as refused:
            submit(made)
    assert (refused.value.started, made.queued, made.workers) == (False, 0, [])
    passed(submit(made).started)


def test_without_a_timer_thread_deadlines_are_caught_up_with(monkeypatch):
    from bridge.calls import deadlines

    monkeypatch.setattr(deadlines, "start_thread", no_thread)
    expired: list[int] = []
    watched = Deadlines({1, 2}, expired.append)
    watched.add(0.0, 1)
    watched.add(1e12, 2)
    watched.catch_up()
    assert expired == [1]


def test_an_async_tool_without_a_thread_for_its_loop_fails_and_the_next_one_may_run(monkeypatch):
    async def answer() -> int:
        return 42

    loop = EventLoop()
    with monkeypatch.context() as patch:
        patch.setattr(event_loop, "start_thread", no_thread)
        with pytest.raises(PoolFull, match="event loop"):
            loop.run(answer(), lambda callback: None)
    assert loop.run(answer(), lambda callback: None) == 42
