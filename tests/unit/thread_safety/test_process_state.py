"""What a call changes for the whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
        (lambda patch, path: patch.syspath_prepend(str(path)), "sys.path"),
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


def test_a_directory_that_is_gone_ends_no_call(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    checker = ThreadSafetyChecker(note=lambda finding: None)
    assert checker.wrap(lambda: "done", "call")() == "done"
    assert checker.findings == []
    monkeypatch.undo()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that replaces the filters of warnings, and has not put them back yet."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "installed_one.py").write_text(
        "import warnings\n\n\ndef leaves():\n    warnings.catch_warnings().__enter__()\n"
        "    warnings.simplefilter('ignore')\n"
    )
    monkeypatch.syspath_prepend(folder)
    return folder


def test_filters_that_a_library_replaces_for_a_moment_are_a_note(package):
    import installed_one

    with ThreadSafetyChecker(note=lambda finding: None) as checker, warnings.catch_warnings():
        checker.wrap(installed_one.leaves, "draw")()
    assert checker.findings == []
    (note,) = checker.notes
    assert note.variable == "the warnings filters"
    assert "installed_one replaced them for a moment in draw" in note.problem
    (shown,) = checker.report().notes
    assert "context_aware_warnings" in shown.advice


def test_filters_that_the_program_replaces_as_well_are_a_race(package):
    import installed_one

    def both():
        installed_one.leaves()
        warnings.catch_warnings().__enter__()
        warnings.simplefilter("error")

    with ThreadSafetyChecker(note=lambda finding: None) as checker, warnings.catch_warnings():
        checker.wrap(both, "draw")()
    (finding,) = checker.findings
    assert finding.grade == "race"


def test_filters_that_a_library_replaces_do_not_hide_what_else_changes(package, monkeypatch):
    import installed_one

    def both():
        installed_one.leaves()
        monkeypatch.chdir(package)

    with ThreadSafetyChecker(note=lambda finding: None) as checker, warnings.catch_warnings():
        checker.wrap(both, "draw")()
    assert [each.variable for each in checker.findings] == ["the working directory"]


LASTING = """
import gc
import logging
import sys

from bridge import ThreadSafeAdapter, tool


class Lasting(ThreadSafeAdapter):
    def setup(self):
        self.log = logging.getLogger("lasting.part")

    @tool
    def path(self) -> None:
        sys.path.append("/nowhere")

    @tool
    def limit(self) -> None:
        sys.setrecursionlimit(5000)

    @tool
    def collector(self) -> None:
        gc.set_threshold(5000)

    @tool
    def level(self) -> None:
        self.log.setLevel(logging.ERROR)


class Early(ThreadSafeAdapter):
    def setup(self):
        sys.path.append("/nowhere")
        sys.setrecursionlimit(5000)
        gc.set_threshold(5000)
        logging.getLogger("lasting.part").setLevel(logging.ERROR)

    @tool
    def read(self) -> int:
        return len(sys.path)
"""


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        ("Lasting", {
            "sys.path": "path", "the recursion limit": "limit",
            "the garbage collector (gc)": "collector", "the levels of loggers": "level",
        }),
        ("Early", {}),
    ],
)  # fmt: skip
def test_what_calls_at_once_leave_changed_is_found_and_what_setup_changes_is_not(
    tmp_path, adapter, expected
):
    """In a process of its own, which may be changed."""
    (tmp_path / "lasting_tools.py").write_text(LASTING)
    command = [sys.executable, "-m", "bridge", "check", "--json", "--app-dir", str(tmp_path)]
    ended = subprocess.run(
        [*command, f"lasting_tools:{adapter}"], capture_output=True, text=True, timeout=60
    )
    findings = json.loads(ended.stdout)["findings"]
    found = {each["variable"]: each["problem"].split()[0] for each in findings}
    assert found == expected
    assert ended.returncode == (1 if expected else 0)
