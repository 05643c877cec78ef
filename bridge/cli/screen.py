"""A terminal that shows one page, written over again and again, and is left as it was found."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# of ECMA-48, and two of xterm that every terminal of today knows: another page, the cursor
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_LINE, _END_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"
#: Signals that end the program; the terminal is restored before.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Screen:
    """The terminal of stdout, and of stdin if that is one. ``with``, on the main thread.

    Whatever ends the ``with``, Ctrl-C and SIGTERM too, the terminal is as before; Ctrl-Z leaves it so
    while the program is stopped. The size is asked for each page.
    """

    def __init__(self) -> None:
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._mode: list[Any] | None = None
        self._ending: int | None = None
        self._former: dict[int, Any] = {}
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)

    def __enter__(self) -> Screen:
        self._former[-1] = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (*_ENDINGS, signal.SIGWINCH, signal.SIGTSTP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._former[number] = signal.signal(number, self._note)
        self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        finally:
            signal.set_wakeup_fd(self._former.pop(-1))
            for number, handler in self._former.items():
                signal.signal(number, handler)
            os.close(self._woken)
            os.close(self._waker)
        if self._ending is not None and self._ending != signal.SIGINT:
            os.kill(os.getpid(), self._ending)  # so that who sent it sees that it has ended so

    def show(self, page: Callable[[int, int], list[str]]) -> None:
        """Write a page over the one that is there.

        Args:
            page: makes its lines, for so many columns and lines.
        """
        width, height = shutil.get_terminal_size()
        lines = page(width, height)[:height]
        self._write(_HOME + (_END_LINE + "\n").join(lines) + _END_LINE + _END_PAGE)

    def wait(self, seconds: float) -> bool:
        """Wait so long at most, or until the size changes. Returns whether the user wants the end."""
        end = time.monotonic() + seconds
        while self._ending is None:
            watched = [self._woken] if self._keys is None else [self._woken, self._keys]
            ready, _, _ = select.select(watched, [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return False
            if self._keys in ready:
                assert self._keys is not None
                typed = os.read(self._keys, 64)
                if not typed:
                    self._keys = None  # nobody types there any more
                elif {b"q", b"Q", b"\x03"} & {typed[i : i + 1] for i in range(len(typed))}:
                    return True
            if self._woken in ready:
                signals = os.read(self._woken, 64)
                if signal.SIGTSTP in signals:
                    self._stop()
                if self._ending is None and signals:
                    return False
        return True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in _ENDINGS:
            self._ending = number

    def _stop(self) -> None:
        """Stop, as Ctrl-Z asks for, and come back when the shell lets us go on."""
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note)
        self._enter()

    def _enter(self) -> None:
        if self._keys is not None:
            self._mode = termios.tcgetattr(self._keys)
            mode = termios.tcgetattr(self._keys)
            mode[3] &= ~(termios.ICANON | termios.ECHO)  # each key at once, and unseen
            termios.tcsetattr(self._keys, termios.TCSADRAIN, mode)
        self._write(_ENTER)

    def _leave(self) -> None:
        try:
            self._write(_LEAVE)
        finally:
            if self._mode is not None and self._keys is not None:
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._mode)

    def _write(self, text: str) -> None:
        assert sys.stdout is not None
        sys.stdout.write(text)
        sys.stdout.flush()
