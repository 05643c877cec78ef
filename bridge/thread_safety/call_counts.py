"""What can be counted cheaply while tools run: who overlaps with whom, for how long, and whether a
call leaves the process in another state than it found it."""

from __future__ import annotations

import locale
import os
import signal
import sys
import threading
import time
import warnings

from ..gil import is_enabled
from .detector.findings import DOCUMENTED, Access, Finding
from .instrument.stacks import place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: State of the whole process, which one call changes for all others.
_STATE: dict[str, Callable[[], Any]] = {
    "the working directory": os.getcwd,
    # as os keeps it: decoding it costs more than most calls
    "the environment (os.environ)": lambda: dict(vars(os.environ).get("_data", os.environ)),
    "the locale": lambda: locale.setlocale(locale.LC_ALL),
    "the warnings filters": lambda: list(warnings.filters),
    "the signal handlers": lambda: [signal.getsignal(n) for n in (2, 15)],
    "sys.stdout": lambda: id(sys.stdout),
    "the GIL": is_enabled,
}


class _Counts:
    """Of one tool. Changed under the lock of ``Monitors``."""

    def __init__(self) -> None:
        self.calls = 0
        self.running = 0
        self.most_at_once = 0
        self.threads: dict[int, int] = {}


class Monitors:
    """Counts calls by tool and by thread. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tools: dict[str, _Counts] = {}
        self._busy_s: dict[int, float] = {}
        self._overlaps: dict[str, int] = {}
        self._began = time.monotonic()
        self._here = threading.local()

    def begin(self, tool: str) -> None:
        """A call of ``tool`` begins on this thread."""
        thread = threading.get_ident()
        with self._lock:
            counts = self._tools.get(tool)
            if counts is None:
                counts = self._tools[tool] = _Counts()
            for name, other in self._tools.items():
                if other.running:
                    pair = " and ".join(sorted((tool, name)))
                    self._overlaps[pair] = self._overlaps.get(pair, 0) + 1
            counts.calls += 1
            counts.running += 1
            counts.most_at_once = max(counts.most_at_once, counts.running)
            counts.threads[thread] = counts.threads.get(thread, 0) + 1
            alone = sum(other.running for other in self._tools.values()) == 1
        self._here.state = _look() if alone else None
        self._here.began = time.monotonic()

    def end(self, tool: str, function: Any = None) -> list[Finding]:
        """It ends. Returns what it has changed for the whole process: somewhere in ``function``."""
        spent = time.monotonic() - self._here.began
        with self._lock:
            self._tools[tool].running -= 1
            thread = threading.get_ident()
            self._busy_s[thread] = self._busy_s.get(thread, 0.0) + spent
        before = self._here.state
        if before is None:
            return []  # it could have been another call that ran
        changed = [name for name, now in _look().items() if now != before[name]]
        return [
            Finding(
                DOCUMENTED,
                name,
                f"{tool} changed it, for every thread of the process",
                "pass what is needed as an argument, or set it once in setup()",
                Access(thread, 0, "change", frozenset(), (place_of(function, tool),), tool),
            )
            for name in changed
        ]

    def describe(self) -> dict[str, Any]:
        """The counts as a map: by tool, by thread, and the pairs of tools that overlapped."""
        with self._lock:
            elapsed = time.monotonic() - self._began
            return {
                "tools": {
                    name: {
                        "calls": counts.calls,
                        "threads": len(counts.threads),
                        "most_at_once": counts.most_at_once,
                    }
                    for name, counts in self._tools.items()
                },
                "threads": {
                    str(thread): {"busy_s": busy, "utilisation": busy / elapsed if elapsed else 0.0}
                    for thread, busy in self._busy_s.items()
                },
                "overlaps": dict(self._overlaps),
            }


def _look() -> dict[str, Any]:
    return {name: look() for name, look in _STATE.items()}
