"""The descriptors of the protocol, out of everybody's reach."""

from __future__ import annotations

import os
import sys

#: Linux lets anybody have pipes of this size; the usual 64 KiB halve the throughput of large data.
PIPE_BYTES = 1 << 20


class PrivatePipes:
    """Takes the protocol's descriptors away from everybody else. First thing in the process.

    ``reader`` and ``writer`` are private descriptors that no child process inherits. Afterwards
    descriptor 0 is the null device and 1 is stderr, so that ``print``, C libraries and child
    processes cannot touch the protocol, nor keep the pipes open.

    Args:
        source: the descriptor where the peer writes.
        sink: the descriptor where it reads.

    Raises:
        OSError: one of them is not open. 0, 1 and 2 must be.
    """

    __slots__ = ("reader", "writer")

    def __init__(self, source: int, sink: int) -> None:
        self.reader, self.writer = _private(source), _private(sink)
        null = os.open(os.devnull, os.O_RDWR)
        if 2 in (source, sink):
            os.dup2(null, 2)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.close(null)
        for descriptor in {source, sink} - {0, 1, 2}:
            os.close(descriptor)
        if sys.stdout is not None:
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def forked(self) -> None:
        """In a process that a tool has forked: neither read nor hold open what is the parent's."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in (self.reader, self.writer):
            os.dup2(null, descriptor, inheritable=False)
        os.close(null)


def _private(descriptor: int) -> int:
    import fcntl  # not on Windows, where programs come no further than saying so

    # above 9: a low number could be one that somebody uses by convention
    private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        fcntl.fcntl(private, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (AttributeError, OSError):
        pass  # not Linux, not a pipe, or the user has no pages left
    return private
