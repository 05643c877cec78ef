"""Faults of the checker itself: told as such, and the program goes on."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..detector import ThreadSafetyError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

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

    def note(self, error: BaseException) -> None:
        """Note an exception that came out of the checker; to be called where it is handled.

        Raises:
            BaseException: what is meant for the program: of a strict checker, and Ctrl-C.
        """
        if issubclass(type(error), ThreadSafetyError | KeyboardInterrupt):
            raise error
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        code = None if trace is None else trace.tb_frame.f_code
        key = (type(error), code, None if trace is None else trace.tb_lineno)
        if key in self.texts or len(self.texts) >= _MAX_FAULTS:
            return
        self.texts[key] = _in_words(error)
        try:
            self._tell(f"a fault of the check itself, the program goes on: {self.texts[key]}")
        except Exception:
            pass  # it is in the report


def guarded(
    function: Callable[Concatenate[Any, Parameters], Result],
) -> Callable[Concatenate[Any, Parameters], Result | None]:
    """A method of an object with ``faults``, of which a fault is nothing to whoever calls it.

    It runs code of the program where that compares, hashes or names its own objects, and that may do
    anything, as end the process. Returns None then.
    """

    def called(self: Any, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result | None:
        try:
            return function(self, *args, **kwargs)
        except BaseException as error:
            self.faults.note(error)
            return None

    functools.update_wrapper(called, function)
    return called


def _in_words(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error)
        return "".join(lines[:1] + lines[-3:]).strip()
    except BaseException:  # of its own text
        return type.__repr__(type(error))
