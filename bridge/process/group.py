"""The process group: what tools have started, and what is to be ended with this process.

A port program leads a session and a group of its own, or something does that the port has started
and that runs Python without ``exec``. Started by hand, the group is somebody else's.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # what is behind "signal", without its enums: these take a tenth of the time of a start
    import _signal as signal

#: Set by a client that has given the process, or what started it, a group of its own.
OWN_GROUP = "BRIDGE_OWN_GROUP"
#: How long child processes may take to react to SIGTERM.
_MOMENT_S = 0.2
#: Deeper than any chain of programs that start each other.
_MAX_ANCESTORS = 32


class ProcessGroup:
    """The group of the process that makes this, before it starts any other.

    ``is_own``: whether what is in it belongs to the bridge. ``spared``: the processes in it that
    end by themselves: this one, what has started it, and what is added.
    """

    def __init__(self) -> None:
        told = os.environ.pop(OWN_GROUP, None)  # not for what tools start
        pid, self._id = os.getpid(), os.getpgrp()
        self._leads = os.getsid(0) == pid == self._id
        # in a container that the client's program has started, the group's leader has no number
        self.is_own = self._leads or (bool(told) and os.getsid(0) == self._id > 0)
        self.spared = {pid}
        if self.is_own and not self._leads:
            self.spared.update(_ancestors(pid))

    def end(self) -> None:
        """End what the tools started and left behind.

        The signal may reach this process as well, whose handler has nothing left to do. Whoever is
        deaf to it is killed.
        """
        if not self.is_own:
            return
        if self._leads:
            os.killpg(self._id, signal.SIGTERM)
        else:
            _send(signal.SIGTERM, self._others())
        end = time.monotonic() + _MOMENT_S
        # what tracks resources removes what they leave behind, and ends by itself
        while others := [pid for pid in self._others() if not _tracks_resources(pid)]:
            if time.monotonic() > end:
                _send(signal.SIGKILL, others)
                return
            time.sleep(0.005)

    def _others(self) -> list[int]:
        """The processes in the group that are not spared and have not ended; none without /proc."""
        found = []
        try:
            names = os.listdir("/proc")
        except OSError:
            return []  # not Linux, or no descriptor left
        for name in names:
            if name.isdigit() and int(name) not in self.spared:
                state, _, group = _stat(name)
                if group == self._id and state not in ("Z", "X"):
                    found.append(int(name))
        return found


def parent_of(pid: int) -> int:
    """Who a process is a child of; 0 if it is not there, or there is no /proc."""
    return _stat(str(pid))[1]


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while len(found) < _MAX_ANCESTORS and (pid := parent_of(pid)) > 1:
        found.add(pid)
    return found


def _stat(name: str) -> tuple[str, int, int]:
    """The state, parent and group of a process."""
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            state, parent, group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return "X", 0, 0  # it has just ended
    return state.decode(), int(parent), int(group)


def _send(number: int, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass  # it has just ended, or is somebody else's by now


def _tracks_resources(pid: int) -> bool:
    """Whether it is the process with which ``multiprocessing`` removes shared memory that is left.

    It ignores SIGTERM, and ends when all have ended for which it works, this process included.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"from multiprocessing.resource_tracker import main" in file.read()
    except OSError:
        return False  # it has just ended
