"""What a call changes for the whole process."""

from __future__ import annotations

import os
import warnings

import pytest

from bridge.thread_safety import ThreadSafetyChecker
from bridge.thread_safety.process_state import ProcessState


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda patch, path: patch.chdir(path), "the working directory"),
        (lambda patch, path: patch.setenv("LEFT_BEHIND", "1"), "the environment (os.environ)"),
        (lambda patch, path: patch.setattr("sys.stdout", None), "sys.stdout"),
        (lambda patch, path: warnings.simplefilter("ignore"), "the warnings filters"),
    ],
)
def test_a_call_that_leaves_the_process_changed_is_found(monkeypatch, tmp_path, change, name):
    checker = ThreadSafetyChecker(note=lambda finding: None)
    with warnings.catch_warnings():
        checker.wrap(change, "spoil")(monkeypatch, tmp_path)
    (finding,) = checker.findings
    assert (finding.variable, finding.evidence) == (name, "documented")
    assert "spoil" in finding.problem


def test_what_was_put_back_is_no_change():
    state = ProcessState()
    here = os.getcwd()
    os.chdir("/")
    assert state.changed() == ["the working directory"]
    os.chdir(here)
    assert state.changed() == []
