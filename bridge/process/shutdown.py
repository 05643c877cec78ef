"""How the process ends: its signals, exit handlers, last words, itself."""

from __future__ import annotations

import atexit
import os
import sys
import threading

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
#: How long the last output may take to be written.
_MOMENT_S = 0.2


def handle_signals(end: Callable[[str], object]) -> None:
    """Have ``end("sigterm")``, ``"sighup"`` or ``"sigint"`` called on a signal. On the main thread.

    Whoever started this with ``nohup`` has the end of a terminal mean nothing, and it stays so.
    """
    signal.signal(signal.SIGTERM, lambda *_: end("sigterm"))
    signal.signal(signal.SIGINT, lambda *_: end("sigint"))
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: end("sighup"))


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
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
