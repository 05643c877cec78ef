"""What is counted while tools run."""

from __future__ import annotations

import threading

import pytest

from bridge.thread_safety.call_counts import CallCounts

from ...waiting import in_thread, join, passed


@pytest.fixture
def counts():
    return CallCounts()


def test_calls_and_threads_are_counted(counts):
    for _ in range(3):
        assert counts.begin("add", 1)
        counts.end("add", 1, 0.25)
    described = counts.describe()
    assert described["tools"] == {"add": {"calls": 3, "threads": 1, "most_at_once": 1}}
    (thread,) = described["threads"].values()
    assert thread["busy_s"] == 0.75
    assert thread["utilisation"] > 0
    assert described["overlaps"] == {}


def test_only_calls_that_run_at_the_same_time_overlap(counts):
    began, go_on = threading.Event(), threading.Event()

    def work():
        counts.begin("slow", 1)
        began.set()
        passed(go_on)
        counts.end("slow", 1, 0.0)

    thread = in_thread(work)
    passed(began)
    for tool in ("fast", "slow"):
        assert not counts.begin(tool, 1)
        counts.end(tool, 1, 0.0)
    go_on.set()
    join(thread)
    assert counts.begin("late", 1)
    counts.end("late", 1, 0.0)
    described = counts.describe()
    assert described["overlaps"] == {"fast and slow": 1, "slow and slow": 1}
    assert described["tools"]["slow"]["most_at_once"] == 2
    assert described["tools"]["late"]["most_at_once"] == 1
