"""A container that runs: its processes, and programs beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from . import roots
from .build import Image

_PATIENCE_S = 60.0
T = TypeVar("T")
#: As ``docker run --init``: starts the program, hands signals on, and collects whoever is left to it.
_INIT = """
import os, signal, sys
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
while True:
    ended, status = os.waitpid(-1, 0)
    if ended == pid:
        os._exit(os.waitstatus_to_exitcode(status) & 127)
"""


class Container:
    """An image that runs on a read-only file system, as ``docker run --read-only``.

    Args:
        image: What runs; its ``CMD``.
        init: Whether the first process is an init (``--init``), or the program itself.
    """

    def __init__(self, image: Image, *, init: bool) -> None:
        self._image = image
        self._log = tempfile.TemporaryFile()
        arguments = ["python3", "-I", "-c", _INIT, *image.cmd] if init else image.cmd
        roots.network(image.root)
        self._outer = subprocess.Popen(
            roots.command(
                image.root,
                arguments,
                env=image.env,
                user=image.user,
                directory=image.directory,
                writable=False,
                network=False,
            ),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        #: The first process, as this machine numbers it.
        self.first = wait_for(self._inside, "a first process")

    def _inside(self) -> int | None:
        """The first process, once it has the image as its root."""
        for pid in _children(self._outer.pid):
            if os.path.realpath(f"/proc/{pid}/root") == str(self._image.root.resolve()):
                return pid
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._outer.poll() is None:
            self._outer.kill()
            self._outer.wait()
        self._log.close()

    def execute(self, *arguments: str) -> tuple[int, str]:
        """Run a program beside the others, as ``docker exec``: its status and what it says."""
        image = self._image
        enter = [
            "nsenter",
            f"--target={self.first}",
            "--mount",
            "--pid",
            "--uts",
            "--net",
            "--root",
        ]
        environment = [f"{name}={value}" for name, value in image.env.items()]
        start = ["env", "-i", "-C", image.directory, "PATH=/usr/bin:/bin", *environment]
        command = [*enter, *start, *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def processes(self, name: str) -> list[int]:
        """The processes in it whose command line has a word in it, as this machine numbers them."""
        found, left = [], [self.first]
        while left:
            pid = left.pop()
            left += _children(pid)
            if name in _command_line(pid):
                found.append(pid)
        return found

    def zombies(self) -> list[str]:
        """Processes that have ended, and nobody has collected them: their name and their parent's."""
        found, left = [], [self.first]
        while left:
            pid = left.pop()
            for child in _children(pid):
                left.append(child)
                if _state(child) == "Z":
                    found.append(f"{_name(child)}, of {_name(pid)}")
        return found

    def stop(self, patience_s: float = 10.0) -> int:
        """SIGTERM for the first process, as ``docker stop``; its status. Raises ``Failed``."""
        subprocess.run(["kill", "-s", "TERM", str(self.first)], check=True)
        try:
            return self._outer.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise roots.Failed(f"did not end within {patience_s} s:\n{self.log()}") from None

    def log(self) -> str:
        """What it has said."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Wait until something is there. Raises ``Failed``."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise roots.Failed(f"{what} has not come within {_PATIENCE_S:.0f} s")


def send(number: signal.Signals, pid: int) -> None:
    """A signal for a process."""
    subprocess.run(["kill", "-s", number.name.removeprefix("SIG"), str(pid)], check=True)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def _command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
