"""How the process ends: its signals, what its tools started, exit handlers, last words, itself."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time

from ..threads import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    # what is behind "signal", without its enums: these take a tenth of the time of a start
    import _signal as signal

CLEAN, FATAL, USAGE = 0, 1, 2
INTERRUPTED = 130  # what shells report for Ctrl-C
#: How long child processes may take to react to SIGTERM, and the last output to be written.
_MOMENT_S = 0.2


def handle_signals(end: Callable[[str], object]) -> None:
    """Have ``end("sigterm")`` or ``end("sigint")`` called on a signal. On the main thread."""
    signal.signal(signal.SIGTERM, lambda *_: end("sigterm"))
    signal.signal(signal.SIGINT, lambda *_: end("sigint"))


def leave_on_interrupt() -> None:
    """From now on Ctrl-C does not wait for anything. On the main thread."""
    signal.signal(signal.SIGINT, lambda *_: leave(INTERRUPTED))


def interrupt_after(seconds: float, do: Callable[[], object]) -> None:
    """Have ``do`` interrupt the main thread, where there is no thread for a timer. On that thread."""
    signal.signal(signal.SIGALRM, lambda *_: do())
    signal.setitimer(signal.ITIMER_REAL, seconds)


def forget_signals() -> None:
    """The handlers of a program that is no bridge. On the main thread."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end_children() -> None:
    """End what the tools started and left behind.

    A port program is the leader of a session of its own, so its process group is what it and its
    tools started. Started by hand, the group is somebody else's and is left alone. The signal
    reaches this process as well, whose handler has nothing left to do. Who is deaf to it is killed.
    """
    if not os.getsid(0) == os.getpid() == os.getpgrp():
        return
    os.killpg(os.getpgrp(), signal.SIGTERM)
    end = time.monotonic() + _MOMENT_S
    # what tracks resources removes what they leave behind, and ends by itself
    while others := [pid for pid in _others_in_group() if not _tracks_resources(pid)]:
        if time.monotonic() > end:
            for pid in others:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass  # it has just ended, or is somebody else's by now
            return
        time.sleep(0.005)


def _tracks_resources(pid: int) -> bool:
    """Whether it is the process with which ``multiprocessing`` removes shared memory that is left.

    It ignores SIGTERM, and ends when all have ended for which it works, this process included.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"from multiprocessing.resource_tracker import main" in file.read()
    except OSError:
        return False  # it has just ended


def _others_in_group() -> list[int]:
    """The processes in this one's group that have not ended; none where there is no /proc."""
    found, own = [], str(os.getpid())
    try:
        names = os.listdir("/proc")
    except OSError:
        return []  # not Linux, or no descriptor left
    for name in names:
        if not name.isdigit() or name == own:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, _, group = file.read().rpartition(b")")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if group == own.encode() and state not in b"ZX":
            found.append(int(name))
    return found


def run_exit_handlers() -> None:
    """What Python does at its end, but taking the interpreter apart.

    There it would wait for a thread that prints, or crash on it, and no timer could help.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException as error:
        complain(f"an exit handler failed: {error!r}")


def flush_files() -> None:
    """Write what tools have in the buffers of files that are still open, as Python does at its end.

    At most for a moment: a file may be a pipe that is full.
    """
    flush = threading.Thread(target=_flush_files, daemon=True)
    if start_thread(flush):
        flush.join(_MOMENT_S)
    else:
        _flush_files()


def _flush_files() -> None:
    import gc
    from _io import _IOBase

    for file in gc.get_objects():
        if issubclass(type(file), _IOBase):
            try:
                file.flush()
            except BaseException:
                pass  # closed, or only for reading, or its own flush() fails


def leave(code: int) -> NoReturn:
    """End the process although threads are still at work."""
    try:
        # on another thread: one that writes to a full pipe holds what it takes to flush
        flush = threading.Thread(target=_flush, daemon=True)
        flush.start()
        flush.join(_MOMENT_S)
    except BaseException:
        pass  # no memory for a thread
    os._exit(code)


def leave_fork(*_: object) -> NoReturn:
    """End a forked process that comes back into the code of the bridge."""
    complain(
        "a process that a tool forked has returned from the tool, and ends here: "
        "only its parent answers. Leave with os._exit(), or start a subprocess"
    )
    leave(FATAL)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def complain(text: str) -> None:
    """Tell people, if stderr can be written to: a full disk is no reason to stop."""
    if sys.stderr is None:
        return  # else print() would write to stdout, which may be the protocol
    try:
        print(f"bridge: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
