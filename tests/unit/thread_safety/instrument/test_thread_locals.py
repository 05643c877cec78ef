"""What one call leaves in a thread-local object, and another one reads on the same thread."""

from __future__ import annotations

import pytest

from ..race_program import checked, one_after_another

PROGRAM = """
    import threading
    local = threading.local()
    def login():
        {write}
    def whoami():
        {read}
"""
LEAKS = {
    "read": ("local.user = 1", "return local.user"),
    "read with a default": ("local.user = 1", "return getattr(local, 'user', None)"),
    "asked for": ("setattr(local, 'user', 1)", "return getattr(local, 'user', None)"),
}
RIGHT = {
    "deleted at the end": ("local.user = 1\n        del local.user", "return getattr(local, 'user', 2)"),
    "written first": ("local.user = 1", "local.user = 2\n        return local.user"),
    "made where nothing was": (
        "if getattr(local, 'user', None) is None:\n            local.user = 1",
        "if getattr(local, 'user', None) is None:\n            local.user = 1\n        return local.user",
    ),
    "asked for first": (
        "if not hasattr(local, 'user'):\n            local.user = 1",
        "if not hasattr(local, 'user'):\n            local.user = 1\n        return local.user",
    ),
    "tried first": (
        "try:\n            local.user\n        except AttributeError:\n            local.user = 1",
        "return getattr(local, 'user', None)",
    ),
    "counted": ("local.user = getattr(local, 'user', 0) + 1", "return getattr(local, 'user', 0)"),
    "another name": ("local.user = 1", "return getattr(local, 'other', 0)"),
}  # fmt: skip


def run(write, read, tmp_path, apart=False):
    with checked(PROGRAM.format(write=write, read=read), tmp_path) as program:
        calls = [
            program.checker.wrap(getattr(program.module, name), name)
            for name in ("login", "whoami", "login", "whoami")
        ]
        if apart:
            one_after_another(*calls)
        else:
            one_after_another(lambda: [call() for call in calls])
        return program.checker.findings


@pytest.mark.parametrize("name", LEAKS)
def test_a_value_that_another_call_has_left_is_a_leak(name, tmp_path):
    (finding,) = run(*LEAKS[name], tmp_path)
    assert finding.grade == "leak"
    assert finding.variable.endswith("local.user")
    assert finding.first.thread == finding.second.thread > 0


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_meant_to_stay_or_is_gone_is_none(name, tmp_path):
    assert run(*RIGHT[name], tmp_path) == []


def test_another_thread_has_a_value_of_its_own(tmp_path):
    read = "return getattr(local, 'user', None)"
    assert run("local.user = 1", read, tmp_path, apart=True) == []
