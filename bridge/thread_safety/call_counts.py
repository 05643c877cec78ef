"""What can be counted cheaply while tools run: which calls overlap with which, and for how long."""

from __future__ import annotations

import threading
import time
from typing import Any


class _Counts:
    """Of one tool. Changed under the lock of ``CallCounts``."""

    def __init__(self) -> None:
        self.calls = 0
        self.running = 0
        self.most_at_once = 0
        self.threads: dict[int, int] = {}


class CallCounts:
    """Counts calls by tool and by thread. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tools: dict[str, _Counts] = {}
        self._busy_s: dict[int, float] = {}
        self._overlaps: dict[str, int] = {}
        self._began = time.monotonic()

    def begin(self, tool: str, thread: int) -> bool:
        """A call of ``tool`` begins on a thread. Returns whether it is the only one."""
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
            return sum(other.running for other in self._tools.values()) == 1

    def end(self, tool: str, thread: int, spent_s: float) -> None:
        """A call of ``tool`` that ran on a thread ends, after so many seconds."""
        with self._lock:
            self._tools[tool].running -= 1
            self._busy_s[thread] = self._busy_s.get(thread, 0.0) + spent_s

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
