"""Processes of the operating system: who is there, in which group, and who is still there later."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

#: How often a process is looked for.
_LOOK_S = 0.005


def group(leader: int) -> set[int]:
    """The processes of a group that run. A zombie does not."""
    return {pid for pid, state, _, pgid in _all() if pgid == leader and state not in "ZX"}


def children(parent: int) -> set[int]:
    """The children of a process that run."""
    return {pid for pid, state, ppid, _ in _all() if ppid == parent and state not in "ZX"}


def wait_until_gone(leaders: set[int], patience_s: float) -> tuple[float, set[int]]:
    """Wait until nothing is left of these groups; the seconds that took, and who is left."""
    began = time.monotonic()
    while True:
        left = {pid for leader in leaders for pid in group(leader)}
        seconds = time.monotonic() - began
        if not left or seconds > patience_s:
            return seconds, left
        time.sleep(_LOOK_S)


def send(number: int, pids: set[int]) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill(pids: set[int]) -> None:
    """kill -9."""
    send(signal.SIGKILL, pids)


def _all() -> list[tuple[int, str, int, int]]:
    """Process id, state, parent and group of every process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue  # it has just ended
            state, ppid, pgid = stat.rpartition(")")[2].split()[:3]
            found.append((int(name), state, int(ppid), int(pgid)))
    return found
