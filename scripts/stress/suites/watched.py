"""A plugin of pytest: the package that ``WATCHED_PACKAGE`` names is rewritten, its locks are traced.

Each test counts as a call, and pauses where a schedule says. Without the variable nothing happens.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bridge.thread_safety import ThreadSafetyChecker
from bridge.thread_safety.schedule import Schedule

_PACKAGE = os.environ.get("WATCHED_PACKAGE", "")
_stack = ExitStack()
_checker: ThreadSafetyChecker | None = None
if _PACKAGE:
    # as it is loaded: what the library imports on its first line is traced
    made = ThreadSafetyChecker(packages=(_PACKAGE,), note=lambda finding: None)
    _checker = _stack.enter_context(made)
    _stack.enter_context(_checker.stirred_by(Schedule(random.Random(0))))


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Iterator[None]:
    """Make each test a call of its own."""
    if _checker is not None:
        pyfuncitem.obj = _checker.wrap(pyfuncitem.obj, pyfuncitem.name)
    yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the checker has to say of itself."""
    if _checker is not None:
        report = _checker.report()
        own = [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]
        terminalreporter.write_line(f"watched modules: {len(own)}")
        terminalreporter.write_line(f"faults of the checker: {len(report.faults)}")
        for fault in report.faults:
            terminalreporter.write_line(fault)
        _stack.close()
