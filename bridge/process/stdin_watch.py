"""The pipe on which nobody writes: its end says that the program which started this one is gone.

That is all a program hears of the death of its Erlang VM if it talks to it by other means.
"""

from __future__ import annotations

import os
import select
import stat
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Both ends of a dying program's pipes are closed at once, but one after the other.
_MOMENT_MS = 100


def is_there() -> bool:
    """Whether a program is at the other end of stdin: a pipe or socket, no terminal or ``/dev/null``."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def watch_stdin(gone: Callable[[], object]) -> None:
    """Call ``gone`` when stdin ends, once, on a thread of its own.

    Afterwards descriptor 0 is the null device, so that neither tools nor their child processes can
    read from the pipe. When it has ended, 1 and 2 become the null device as well if nobody reads
    them any more: what is written while the process ends shall not fail. First thing in the
    process. Without a stdin nothing is watched.
    """
    try:
        pipe = os.dup(0)  # not inheritable
    except OSError:
        return
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)

    def watch() -> None:
        try:
            while os.read(pipe, 4096):
                pass
        except OSError:
            pass  # a terminal that was hung up
        for descriptor in (1, 2):
            if _is_broken(descriptor):
                os.dup2(null, descriptor)
        gone()

    threading.Thread(target=watch, name="bridge-stdin-watch", daemon=True).start()


def _is_broken(descriptor: int) -> bool:
    """Whether nobody reads what is written there."""
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always told
    return bool(poll.poll(_MOMENT_MS))
