"""Faults of the checker itself: told as such, and the program goes on."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from ..detector import ThreadSafetyError

#: How many that differ are told.
_MAX_FAULTS = 20


class Faults:
    """What went wrong while a program was watched. Any thread may add to it.

    Args:
        tell: called with each fault, once, in words.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        #: In words, by where it was raised.
        self.texts: dict[object, str] = {}

    def note(self, error: Exception) -> None:
        """Note an exception that came out of the checker; to be called where it is handled.

        Raises:
            ThreadSafetyError: it is one, which is meant for the program.
        """
        if isinstance(error, ThreadSafetyError):
            raise error
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        code = None if trace is None else trace.tb_frame.f_code
        key = (type(error), code, None if trace is None else trace.tb_lineno)
        if key in self.texts or len(self.texts) >= _MAX_FAULTS:
            return
        lines = traceback.format_exception(error)
        self.texts[key] = "".join(lines[:1] + lines[-3:]).strip()
        try:
            self._tell(f"a fault of the check itself, the program goes on: {self.texts[key]}")
        except Exception:
            pass  # it is in the report
