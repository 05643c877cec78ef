"""What the kernel says of the bridge, and how punctual the machine itself is."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from .histogram import Histogram
from .phases import PROBES, Phases

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_NAP_S = 0.001
#: The busiest threads of a process: the others hardly run, and so hardly wait.
_WATCHED_THREADS = 40


@dataclass
class Vitals:
    """A process at one moment. ``at``: ``time.monotonic()``."""

    at: float
    rss_mb: float
    threads: int
    fds: int
    cpu_s: float


def look_at(pid: int) -> Vitals | None:
    """The vitals of a process; None if it is gone. Linux only: elsewhere always None."""
    try:
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        rss_mb = int(status["VmRSS"].split()[0]) / 1024
    except (OSError, KeyError):
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
    return Vitals(time.monotonic(), rss_mb, int(status["Threads"]), fds, cpu_s)


class CpuWait:
    """How long the threads of a process, and the calling one, were ready to run but had no CPU.

    That is no stall of the process, but the machine's. A sum over threads: two that wait at the
    same time count twice. Elsewhere than on Linux always 0.
    """

    def __init__(self, pid: int) -> None:
        self._folder = f"/proc/{pid}/task"
        #: Nanoseconds waited by the file that says so: what a thread that has ended said last.
        self._waited: dict[int, int] = {}

    def refresh(self) -> None:
        """Find the threads anew. What ``so_far_s`` says after it cannot be held against before."""
        for file in self._waited:
            os.close(file)
        own = _open(["/proc/thread-self/schedstat"])
        try:
            threads = os.listdir(self._folder)
        except OSError:
            threads = []  # the process has ended, or this is not Linux
        files = _open([f"{self._folder}/{thread}/schedstat" for thread in threads])
        files.sort(key=lambda file: _schedstat(file)[0], reverse=True)
        self._waited = dict.fromkeys([*own, *files[:_WATCHED_THREADS]], 0)
        for file in files[_WATCHED_THREADS:]:
            os.close(file)

    def so_far_s(self) -> float:
        """Since they began."""
        for file, waited in self._waited.items():
            self._waited[file] = max(waited, _schedstat(file)[1])
        return sum(self._waited.values()) / 1e9


def _open(paths: list[str]) -> list[int]:
    """Descriptors of those files that are there."""
    files = []
    for path in paths:
        try:
            files.append(os.open(path, os.O_RDONLY))
        except OSError:
            pass  # a thread that has just ended
    return files


def _schedstat(file: int) -> tuple[int, int]:
    """Nanoseconds for which a thread ran, and waited for a CPU: proc(5)."""
    try:
        ran, waited, _ = os.pread(file, 100, 0).split()
    except (OSError, ValueError):
        return 0, 0
    return int(ran), int(waited)


class Control:
    """A thread that naps for 1 ms, again and again: how late it wakes is the machine's own doing.

    It says what a ping could suffer without any fault of the bridge. It counts in the phases of the
    pings only, as the load of the others is not theirs.
    """

    def __init__(self, phases: Phases) -> None:
        self.late = {phase: Histogram() for phase in PROBES}
        self._phases = phases
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nap no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        ends, phase = 0.0, ""
        while not self._ended.is_set():
            began = time.monotonic()
            if began >= ends:
                phase, ends = self._phases.at(began)
            if phase not in PROBES:
                self._ended.wait(max(0.0, ends - began))
                continue
            time.sleep(_NAP_S)
            now = time.monotonic()
            self.late[phase].add(max(0.0, now - began - _NAP_S))
