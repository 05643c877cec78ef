"""What is counted while tools run."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

from bridge.thread_safety.call_counts import Monitors

from ...waiting import in_thread, join, passed


@pytest.fixture
def monitors():
    return Monitors()


def test_calls_and_threads_are_counted(monitors):
    for _ in range(3):
        monitors.begin("add")
        assert monitors.end("add") == []
    described = monitors.describe()
    assert described["tools"] == {"add": {"calls": 3, "threads": 1, "most_at_once": 1}}
    (thread,) = described["threads"].values()
    assert thread["busy_s"] >= 0
    assert 0 <= thread["utilisation"] <= 1
    assert described["overlaps"] == {}


def test_only_calls_that_run_at_the_same_time_overlap(monitors):
    began, go_on = threading.Event(), threading.Event()

    def work():
        monitors.begin("slow")
        began.set()
        passed(go_on)
        monitors.end("slow")

    thread = in_thread(work)
    passed(began)
    for tool in ("fast", "slow"):
        monitors.begin(tool)
        monitors.end(tool)
    go_on.set()
    join(thread)
    monitors.begin("late")
    monitors.end("late")
    described = monitors.describe()
    assert described["overlaps"] == {"fast and slow": 1, "slow and slow": 1}
    assert described["tools"]["slow"]["most_at_once"] == 2
    assert described["tools"]["late"]["most_at_once"] == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda patch, path: patch.chdir(path), "the working directory"),
        (lambda patch, path: patch.setenv("LEFT_BEHIND", "1"), "the environment (os.environ)"),
        (lambda patch, path: patch.setattr("sys.stdout", None), "sys.stdout"),
        (lambda patch, path: warnings.simplefilter("ignore"), "the warnings filters"),
    ],
)
def test_a_call_that_leaves_the_process_changed_is_found(
    monitors, monkeypatch, tmp_path, change, name
):
    with warnings.catch_warnings():
        monitors.begin("spoil")
        change(monkeypatch, tmp_path)
        (finding,) = monitors.end("spoil")
    assert (finding.variable, finding.grade) == (name, "documented")
    assert "spoil" in finding.problem


def test_what_was_put_back_is_no_change(monitors):
    monitors.begin("careful")
    here = os.getcwd()
    os.chdir("/")
    os.chdir(here)
    assert monitors.end("careful") == []
