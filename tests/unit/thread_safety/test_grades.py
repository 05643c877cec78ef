"""Races, what is safe in CPython alone, and what harms nobody: told apart, whatever came first."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from bridge.thread_safety.exercise import check_adapter

from . import lock_free

FOLDER = str(Path(lock_free.__file__).parent)
PROGRAMS = {
    name: kind.GRADE
    for name, kind in vars(lock_free).items()
    if inspect.isclass(kind) and "GRADE" in vars(kind)
}


def check(name, **options):
    sys.modules.pop("lock_free", None)  # locks of the module were made for an earlier check
    return check_adapter(f"lock_free:{name}", FOLDER, **options)


@pytest.mark.parametrize(("name", "grade"), PROGRAMS.items())
def test_a_program_has_its_grade(name, grade):
    report = check(name)
    texts = [each.text for each in (*report.findings, *report.notes)]
    assert not report.faults
    assert bool(report.findings) is (grade == "race"), texts
    assert {each.grade for each in report.notes} <= {"note"}
    if grade == "note":
        assert report.notes
    elif grade == "clean":
        assert not texts


@pytest.mark.parametrize("name", ["Memo", "LockedPair", "MemoLists"])
def test_the_grade_does_not_depend_on_the_schedule(name):
    assert bool(check(name, seed=1).findings) is (PROGRAMS[name] == "race")


def test_a_strict_check_fails_on_a_note_and_not_on_what_is_clean():
    strict = check("LastValue", strict=True)
    assert strict.failed
    assert [each.grade for each in strict.findings] == ["note"]
    assert not strict.notes
    assert not check("Memo", strict=True).failed


def test_a_note_says_why_it_is_safe():
    (note,) = check("LastValue").notes
    assert "safe in CPython: it is replaced as a whole" in note.text
    assert "note" in check("LastValue").text


def test_what_a_note_is_not_is_said_of_a_race():
    found = {each.variable: each.text for each in check("Config2").findings}
    assert "a call reads it twice, and may see two values" in found["Config2.config"]
