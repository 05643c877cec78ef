"""A program that was started as an Erlang port starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from ..errors import TransportClosed

#: ``erl_child_setup`` leaves these signals ignored. A shell ignores them for the program that it
#: becomes; Python could do so only in its main thread, or between fork and exec.
_IGNORE = 'trap "" FPE PIPE; exec "$@"'
#: The program's own descriptors, 0 to 2, are whatever the VM has; the protocol is on 3 and 4.
_NOUSE_STDIO = " 3<&0 4>&1 </dev/null >&2"


class Port:
    """A program, the pipe to it, and what it writes to stderr. Any thread may call any method.

    Args:
        process: The program, which leads a process group.
        stderr: The file that it writes to; closed at the end.
        sink: The descriptor of the pipe to it; default: there is none.
        source: The one of the pipe from it, closed by whoever reads; default: there is none.
    """

    def __init__(
        self, process: subprocess.Popen[Any], stderr: BinaryIO, sink: int = -1, source: int = -1
    ) -> None:
        self.process = process
        self.source = source
        #: Held while something is written.
        self.writing = threading.Lock()
        self._sink = sink
        self._stderr = stderr
        self._last_stderr = ""

    def write(self, data: bytes) -> None:
        """Write all of ``data``; blocks while the pipe is full because nobody reads.

        Raises:
            TransportClosed: The program does not read any more, or its input was closed.
        """
        with self.writing:
            if self._sink < 0:
                raise TransportClosed("the input of the program was closed here")
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._sink, view) :]
            except OSError as error:
                raise TransportClosed(f"{error.strerror}\n{self.stderr}") from error

    def close_input(self) -> None:
        """Close the pipe to the program, as a port does that is closed. Again: no effect."""
        with self.writing:
            self._close_sink()

    def wait(self, timeout_s: float) -> int:
        """Wait for the program to end; returns its exit status (negative: the signal).

        Raises:
            TimeoutError: It has not ended in time; the message holds what it wrote to stderr.
        """
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"the program has not ended within {timeout_s} s\n{self.stderr}"
            raise TimeoutError(message) from None

    def end(self, timeout_s: float) -> int:
        """Close the pipe to the program and wait for it; returns its exit status. Again: no effect.

        After ``timeout_s`` seconds the program and what it started are killed.
        """
        if self.writing.acquire(timeout=timeout_s):
            try:
                self._close_sink()
            finally:
                self.writing.release()
        else:
            self.kill_group()  # somebody writes and the program does not read
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_group()
            status = self.process.wait()
        self._last_stderr = self.stderr
        self._stderr.close()
        return status

    def kill_group(self) -> None:
        """Kill the program and what it started."""
        if self.process.poll() is None:  # its number is its own
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def exit_status(self) -> int | None:
        """The exit status (negative: the signal); None while the program runs."""
        return self.process.poll()

    @property
    def stderr(self) -> str:
        """What the program has written to stderr so far."""
        if self._stderr.closed:
            return self._last_stderr
        try:
            # not seek and read: the program writes where the position is, which it shares with us
            descriptor = self._stderr.fileno()
            written = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        except (OSError, ValueError):
            return self._last_stderr  # another thread has closed it just now
        return written.decode(errors="replace")

    def _close_sink(self) -> None:
        if self._sink >= 0:
            os.close(self._sink)
            self._sink = -1


def open_port(
    command: Sequence[str],
    *,
    nouse_stdio: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Port:
    """Start a program.

    It leads a session and a process group of its own. SIGFPE and SIGPIPE are ignored; other signals
    are as they are here, but SIGXFSZ, which Python ignores, is back at its default. It inherits no
    descriptor but its ends of the two pipes, 0 and 1, and 2, which is a file.

    Args:
        command: The program and its arguments.
        nouse_stdio: The pipes are 3 and 4, 0 is the null device and 1 is stderr; default: False.
        env: Variables beside those of this process; default: none.
        cwd: Where it starts; default: here.

    Raises:
        FileNotFoundError: There is no such program.
    """
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"there is no program {command[0]!r}")
    script = _IGNORE + _NOUSE_STDIO if nouse_stdio else _IGNORE
    stderr = tempfile.TemporaryFile()
    child_in, sink = os.pipe()
    source, child_out = os.pipe()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", os.path.abspath(program), *command[1:]],
            stdin=child_in,
            stdout=child_out,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    except BaseException:
        os.close(sink)
        os.close(source)
        stderr.close()
        raise
    finally:
        os.close(child_in)
        os.close(child_out)
    return Port(process, stderr, sink, source)
