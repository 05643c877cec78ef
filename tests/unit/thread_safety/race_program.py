"""A program that is checked: its source is imported under a checker, its functions run on threads.

The threads take turns in a way that the detector knows nothing of, so that every run is the same.
"""

from __future__ import annotations

import _thread
import contextlib
import importlib
import itertools
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path

from bridge.thread_safety.checker import ThreadSafetyChecker

from ...waiting import WAIT_S

_names = itertools.count()


def one_after_another(*functions: Callable[[], object]) -> list[object]:
    """Run each function on a thread of its own, without an order between them. Their results."""
    results: list[object] = []
    errors: list[BaseException] = []
    for function in functions:
        done = _thread.allocate_lock()
        done.acquire()

        def work(function: Callable[[], object] = function, done: _thread.LockType = done) -> None:
            try:
                results.append(function())
            except BaseException as error:
                errors.append(error)
            finally:
                done.release()

        _thread.start_new_thread(work, ())
        assert done.acquire(timeout=WAIT_S), "a thread does not end"
    if errors:
        raise errors[0]
    return results


class Program:
    """The module, and the checker that it runs under."""

    def __init__(self, module: types.ModuleType, checker: ThreadSafetyChecker) -> None:
        self.module = module
        self.checker = checker

    def call(self, *names: str) -> list[object]:
        """Call functions of the module, each as a call of its own on a thread of its own."""
        return one_after_another(
            *(self.checker.wrap(getattr(self.module, name), name) for name in names)
        )

    @property
    def found(self) -> list[str]:
        """What was found: variables without the name of the module, each once, in order."""
        prefix = self.module.__name__ + "."
        return sorted({f.variable.removeprefix(prefix) for f in self.checker.findings})


@contextlib.contextmanager
def checked(source: str, directory: Path, **options: object) -> Iterator[Program]:
    """Import a module of this source, and check it."""
    name = f"checked_program_{next(_names)}"
    (directory / f"{name}.py").write_text(textwrap.dedent(source))
    options.setdefault("note", lambda finding: None)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        with ThreadSafetyChecker(directory=str(directory), **options) as checker:  # type: ignore[arg-type]
            yield Program(importlib.import_module(name), checker)
    finally:
        sys.path.remove(str(directory))
        sys.modules.pop(name, None)
