"""Start a program as an Erlang port starts it."""

from __future__ import annotations

import os
import shutil
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, BinaryIO

#: ``erl_child_setup`` leaves these signals ignored. A shell ignores them for the program that it
#: becomes; Python could do so only in its main thread, or between fork and exec.
_IGNORE = 'trap "" FPE PIPE; exec "$@"'
#: The program's own descriptors, 0 to 2, are whatever the VM has; the protocol is on 3 and 4.
_NOUSE_STDIO = " 3<&0 4>&1 </dev/null >&2"


def open_port(
    command: Sequence[str],
    stderr: BinaryIO,
    *,
    nouse_stdio: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> tuple[subprocess.Popen[Any], int, int]:
    """Start ``command``; returns the process and the descriptors to write to it and read from it.

    It leads a session and a process group of its own. SIGFPE and SIGPIPE are ignored; other signals
    are as they are here, but SIGXFSZ, which Python ignores, is back at its default. It inherits no
    descriptor but its ends of the two pipes, 0 and 1, and 2, which is ``stderr``. ``nouse_stdio``:
    the pipes are 3 and 4, 0 is the null device and 1 is ``stderr``. ``env``: variables beside those
    of this process. ``cwd``: where it starts.

    Raises ``FileNotFoundError`` if there is no such program. Any thread may call.
    """
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"there is no program {command[0]!r}")
    script = _IGNORE + _NOUSE_STDIO if nouse_stdio else _IGNORE
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
        raise
    finally:
        os.close(child_in)
        os.close(child_out)
    return process, sink, source
