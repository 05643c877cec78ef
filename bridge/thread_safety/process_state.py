"""The state of the whole process that one call changes for all others."""

from __future__ import annotations

import _locale
import _signal  # type: ignore[import-not-found]
import functools
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..gil import is_enabled, is_free_threaded
from .instrument import is_bridge, is_installed

#: What ``catch_warnings()`` changes.
FILTERS = "the warnings filters"
_PATH, _LIMIT, _COLLECTOR, _LEVELS = (
    "sys.path", "the recursion limit", "the garbage collector (gc)", "the levels of loggers"
)  # fmt: skip
#: What nothing else tells of, as rules about functions do of the others. Not the filters of warnings:
#: many a library adds some as it is imported.
ONLY_SEEN_HERE = frozenset([_PATH, _LIMIT, _COLLECTOR, _LEVELS])


class _Levels(dict[str, int]):
    """The levels of loggers; new ones make no difference."""

    def __ne__(self, other: object) -> bool:
        others: Any = other
        return any(level != others.get(name, level) for name, level in self.items())


def _levels() -> _Levels:
    loggers = logging.root.manager.loggerDict
    named = {
        name: logger.level
        for name, logger in list(loggers.items())
        if isinstance(logger, logging.Logger)
    }
    return _Levels(named, root=logging.root.level, disable=logging.root.manager.disable)


_STATE: dict[str, Callable[[], Any]] = {
    "the working directory": os.getcwd,
    # as os keeps it: decoding it costs more than most calls
    "the environment (os.environ)": lambda: dict(vars(os.environ).get("_data", os.environ)),
    # what locale and signal do beside this takes longer than most calls
    "the locale": lambda: _locale.setlocale(_locale.LC_ALL),
    FILTERS: lambda: list(warnings.filters),
    "the signal handlers": lambda: [_signal.getsignal(n) for n in (2, 15)],
    "sys.stdout": lambda: id(sys.stdout),
    "sys.stderr": lambda: id(sys.stderr),
    _PATH: lambda: list(sys.path),
    _LIMIT: sys.getrecursionlimit,
    _COLLECTOR: lambda: (gc.isenabled(), gc.get_threshold()),
    _LEVELS: _levels,
}
if is_free_threaded():
    _STATE["the GIL"] = is_enabled


def _asked(look: Callable[[], Any]) -> Any:
    """What ``look`` says; or that it cannot be said, as of a directory that is there no more."""
    try:
        return look()
    except Exception as error:
        return type(error)


class FilterUsers:
    """Who replaces the filters of warnings for a moment, by ``catch_warnings()``, while this is entered.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
    """

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._is_own = is_own
        self._original: Any = None
        #: How often the program itself has done it; and the installed packages that have, by name.
        self.by_program = 0
        self.packages: dict[str, int] = {}

    def __enter__(self) -> FilterUsers:
        original = self._original = warnings.catch_warnings.__enter__

        def enter(manager: Any) -> Any:
            self._note(sys._getframe(1))
            return original(manager)

        functools.update_wrapper(enter, original)
        warnings.catch_warnings.__enter__ = enter  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        warnings.catch_warnings.__enter__ = self._original  # type: ignore[method-assign]

    def _note(self, frame: FrameType | None) -> None:
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            package = module.partition(".")[0]
            if package not in sys.stdlib_module_names and not is_bridge(module):
                if not self._is_own(module) and is_installed(frame.f_code.co_filename):
                    self.packages[package] = self.packages.get(package, 0) + 1
                else:
                    self.by_program += 1
                return
            frame = frame.f_back


class ProcessState:
    """The state as it is when this is made, on the thread of a call that is the only one.

    Args:
        users: who replaces the filters of warnings; default: it is not known.
    """

    def __init__(self, users: FilterUsers | None = None) -> None:
        self._users = users
        self._by_program = 0 if users is None else users.by_program
        self._packages = {} if users is None else dict(users.packages)
        self._state = {name: _asked(look) for name, look in _STATE.items()}

    def changed(self) -> list[str]:
        """The names of what is different now."""
        return [name for name, look in _STATE.items() if _asked(look) != self._state[name]]

    def packages(self) -> list[str]:
        """The installed packages that alone have replaced the filters of warnings since."""
        users = self._users
        if users is None or users.by_program != self._by_program:
            return []
        return [name for name, count in users.packages.items() if count != self._packages.get(name)]
