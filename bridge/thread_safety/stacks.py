"""Where the program is: the stacks that findings show, without the frames of the checker."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import CodeType, FrameType
    from typing import TypeAlias

    from .findings import Frame

    #: A stack, with the code of its innermost frame and of the one around.
    Remembered: TypeAlias = tuple[tuple[Frame, ...], CodeType, CodeType | None]

#: How many frames of the program a finding shows.
_DEPTH = 8
#: How many stacks each thread keeps.
_MAX_STACKS = 1000
_PACKAGE = __name__.rpartition(".")[0]
#: Modules whose frames are left out.
_SKIPPED = (_PACKAGE, "threading")


def stack_here() -> tuple[Frame, ...]:
    """Where the program is: its innermost frames, without those of this package."""
    frame = sys._getframe(1)
    found: list[Frame] = []
    while frame is not None and len(found) < _DEPTH:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(_SKIPPED):
            code = frame.f_code
            found.append((code.co_filename, frame.f_lineno, code.co_qualname))
        elif found and name.startswith(_PACKAGE):
            break  # below is who ran the call
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)


def remembered_stack(remembered: dict[Hashable, Remembered]) -> tuple[Frame, ...]:
    """``stack_here``; but where a thread comes by again from the same caller, what it was.

    ``remembered``: what this function keeps for the calling thread.
    """
    frame: FrameType = sys._getframe(2)  # that of our caller is of this package
    while frame.f_globals.get("__package__") == _PACKAGE and frame.f_back is not None:
        frame = frame.f_back
    back = frame.f_back
    code, caller = frame.f_code, back and back.f_code
    # by identity: to hash a code object is to hash all that is in it
    key = id(code), frame.f_lineno, id(caller), back and back.f_lineno
    found = remembered.get(key)
    if found is None:
        if len(remembered) >= _MAX_STACKS:
            remembered.clear()
        # kept with their stack, or an id could come to mean another
        found = remembered[key] = stack_here(), code, caller
    return found[0]
