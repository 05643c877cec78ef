"""Whether calls are served: workers that are all held by calls that nobody awaits."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from bridge import tool
from bridge.calls.stuck import BLOCKED_S, StuckWatch
from tests.tool_bench import Bench
from tests.waiting import passed, wait_until

AFTER_S = 30.0


class Held:
    """A bench with two workers, and a watch whose clock the test sets."""

    def __init__(self, stuck_after_s: float | None = AFTER_S) -> None:
        self.started, self.leave = threading.Semaphore(0), threading.Event()

        @tool
        def hang() -> None:
            self.started.release()
            passed(self.leave)

        @tool
        def quick() -> None:
            pass

        self.bench = Bench(hang, quick)
        self.later_s = 0.0
        self.watch = StuckWatch(
            self.bench.pool, stuck_after_s, lambda: time.monotonic() + self.later_s
        )

    def hang(self, calls: int) -> list[int]:
        keys = [self.bench.start("hang") for _ in range(calls)]
        for _ in keys:
            assert self.started.acquire(timeout=20)
        return keys

    def abandon(self, keys: list[int]) -> None:
        for key in keys:
            self.bench.dispatcher.cancel(key)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.leave.set()


def test_workers_without_an_abandoned_call_serve(held):
    held.later_s = 2 * AFTER_S
    assert held.watch.status() == "serving"  # there is no worker at all
    held.hang(2)
    assert held.watch.status() == "serving"  # their callers wait


def test_one_free_worker_serves(held):
    held.abandon(held.hang(1))
    held.later_s = 2 * AFTER_S
    assert held.watch.status() == "serving"  # another can be started
    held.bench.result(held.bench.start("quick"))
    held.bench.dispatcher.wait_until_idle(0)
    wait_until(lambda: held.watch.status() == "serving")


def test_where_every_worker_is_abandoned_nothing_is_served_and_then_it_is_stuck(held):
    held.abandon(held.hang(2))
    assert held.watch.status() == "serving"
    held.later_s = BLOCKED_S
    assert held.watch.status() == "blocked"
    held.later_s = AFTER_S - 20
    assert held.watch.status() == "blocked"
    held.later_s = AFTER_S
    assert held.watch.status() == "stuck"
    held.leave.set()
    held.bench.settle()
    assert held.watch.status() == "serving"


def test_the_last_that_was_abandoned_counts(held):
    first, second = held.hang(2)
    held.abandon([first])
    held.later_s = 2 * AFTER_S
    assert held.watch.status() == "serving"
    held.later_s = 0
    held.abandon([second])
    held.later_s = AFTER_S
    assert held.watch.status() == "stuck"


def test_without_a_time_it_is_never_stuck():
    held = Held(stuck_after_s=None)
    held.abandon(held.hang(2))
    held.later_s = 1e6
    assert held.watch.status() == "blocked"
    held.leave.set()


def test_where_no_thread_can_be_had_the_workers_that_there_are_count(held, monkeypatch):
    keys = held.hang(1)
    monkeypatch.setattr("bridge.calls.pool.start_thread", lambda thread: False)
    waiting = held.bench.start("quick")
    held.abandon(keys)
    held.later_s = AFTER_S
    assert held.watch.status() == "stuck"
    held.leave.set()
    held.bench.result(waiting)


def test_the_log_tells_once_where_the_workers_are_and_once_that_they_are_free(held, caplog):
    caplog.set_level(logging.WARNING)
    held.abandon(held.hang(2))
    assert held.watch.look() == "serving"
    held.later_s = BLOCKED_S
    assert held.watch.look() == "blocked"
    assert caplog.messages == []
    held.later_s = AFTER_S
    for _ in range(3):
        assert held.watch.look() == "stuck"
    (message,) = caplog.messages
    if getattr(sys, "_is_gil_enabled", lambda: True)():  # else there are no stacks
        assert message.count("hang for ") == 2
        assert message.count(", in Held.__init__.<locals>.hang") == 2
    held.leave.set()
    held.bench.settle()
    for _ in range(3):
        assert held.watch.look() == "serving"
    assert len(caplog.messages) == 2
    assert "not stuck any more" in caplog.messages[1]


def test_each_episode_is_told(held, caplog):
    caplog.set_level(logging.ERROR)
    for _ in range(2):
        held.leave.clear()
        held.later_s = 0
        held.abandon(held.hang(2))
        held.later_s = AFTER_S
        assert held.watch.look() == "stuck"
        held.leave.set()
        held.bench.settle()
        assert held.watch.look() == "serving"
    assert len(caplog.messages) == 2


def test_health_tells_it(held):
    held.abandon(held.hang(2))
    for call in (worker.job for worker in held.bench.pool.workers):
        call.interrupted_at -= 1000  # type: ignore[union-attr]
    assert held.bench.dispatcher.health()["status"] == "blocked"
    held.bench.dispatcher.refuse_new()
    assert held.bench.dispatcher.health()["status"] == "draining"
