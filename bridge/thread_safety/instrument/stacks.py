"""Where the program is: the stacks that findings show, without the frames of the bridge.

A stack is asked for at every access, and hardly any is ever shown. So an access pays only for the
key of its stack: which code, and where in it, from the access outwards. The files, lines and names
that people read are made once for each key.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeAlias

from ...signature import layers
from ..detector import Frame
from .modules import is_bridge

#: A frame, and the line that it is at.
Position: TypeAlias = tuple[FrameType, int]

#: How many frames are kept: one more than findings show, which then say that there are others.
_DEPTH = 9
_KEY_LENGTH = 2 * _DEPTH
#: How many stacks each thread remembers.
_MAX_STACKS = 1000
#: In lines.
_LONGEST_DECORATORS = 50
_PACKAGE = "bridge.thread_safety"

# What a frame is to a finding. Those before _LIBRARY are not shown.
#: The probe, and other parts of the bridge that the program calls: left out.
_LEFT_OUT = 1
#: What runs the calls of tools: here the stack ends.
_END = 2
#: Shown between two frames of the program.
_LIBRARY = 3
_PROGRAM = 4

#: What the program calls, and what may call the program again. The probe does, too.
_PASSED_THROUGH = frozenset(
    ["bridge.adapter", "bridge.context", "bridge.tool", "contextlib", "importlib._bootstrap",
     "importlib._bootstrap_external", "queue", "threading"]
)  # fmt: skip
#: The parts of the checker that run calls.
_RUN_CALLS = frozenset([f"{_PACKAGE}.watched_calls", f"{_PACKAGE}.exercise"])
_LIBRARY_PLACES = (
    os.path.dirname(os.__file__) + os.sep,
    f"{os.sep}site-packages{os.sep}",
    f"{os.sep}dist-packages{os.sep}",
    "<frozen ",
)


class Stacks:
    """The stacks of one thread. Only this thread may call.

    Args:
        is_own: says of a module, by its name, whether it belongs to the program.
    """

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._is_own = is_own
        #: What was made of each key.
        self._stacks: dict[tuple[int, ...], tuple[Frame, ...]] = {}
        #: What the frames of a code object are, by its id: to hash it is to hash all that is in it.
        self._kinds: dict[int, int] = {}
        #: Kept alive, or an id could come to mean another.
        self._codes: list[CodeType] = []

    def here(self) -> tuple[Frame, ...]:
        """Where the program is, innermost first; without our caller's frame, and its caller's."""
        frame: FrameType | None = sys._getframe(2)
        innermost, kinds = frame, self._kinds
        key: list[int] = []
        while frame is not None:
            number = id(frame.f_code)
            kind = kinds.get(number) or self._kind(frame)
            if kind >= _LIBRARY:
                key += number, frame.f_lasti  # f_lineno takes far longer
                if len(key) == _KEY_LENGTH:
                    break
            elif kind == _END:
                break
            frame = frame.f_back
        found = self._stacks.get(tuple(key))
        if found is None:
            if len(self._stacks) >= _MAX_STACKS:
                self._stacks.clear()
                self._kinds.clear()
                self._codes.clear()
            found = self._stacks[tuple(key)] = self._shown(_outwards(innermost))
        return found

    def of_error(self, error: BaseException) -> tuple[Frame, ...]:
        """Where an exception was raised, innermost first."""
        return self._shown(reversed(list(_inwards(error.__traceback__))))

    def of_frame(self, frame: FrameType) -> tuple[Frame, ...]:
        """Where in the program the thread of a frame is, innermost first."""
        return self._shown(_outwards(frame))

    def _shown(self, positions: Iterable[Position]) -> tuple[Frame, ...]:
        """What findings show of a stack: up to the outermost frame of the program, if there is one."""
        shown: list[Frame] = []
        passed = outermost = 0
        for frame, line in positions:
            kind = self._kind(frame)
            if kind == _END:
                break
            if kind == _LEFT_OUT:
                continue
            passed += 1
            if kind == _PROGRAM:
                outermost = passed
            if passed <= _DEPTH:
                shown.append((frame.f_code.co_filename, line, frame.f_code.co_qualname))
        return tuple(shown[: outermost or None])

    def _kind(self, frame: FrameType) -> int:
        """What a frame is to a finding; from then on remembered for its code."""
        code = frame.f_code
        kind = self._kinds.get(id(code))
        if kind is None:
            module = frame.f_globals.get("__name__") or ""
            self._codes.append(code)
            kind = self._kinds[id(code)] = self._kind_of(module, code.co_filename)
        return kind

    def _kind_of(self, module: str, file: str) -> int:
        if self._is_own(module):
            return _PROGRAM
        if module in _PASSED_THROUGH:
            return _LEFT_OUT
        if module.startswith(_PACKAGE):
            return _END if module in _RUN_CALLS else _LEFT_OUT
        if is_bridge(module):
            return _END
        return _LIBRARY if is_installed(file) else _PROGRAM


def is_installed(file: str) -> bool:
    """Whether code of this file belongs to Python or to an installed package."""
    return any(place in file for place in _LIBRARY_PLACES)


def place_of(function: Any, name: str) -> Frame:
    """Where a function is defined; without a file, and as ``name``, if it is none of the program."""
    *_, function = layers(function)
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None or is_bridge(function.__module__ or ""):
        return "", 0, name
    file, first = code.co_filename, code.co_firstlineno
    lines = [line.lstrip() for line in linecache.getlines(file)[first - 1 :][:_LONGEST_DECORATORS]]
    decorators = 0
    if lines and lines[0].startswith("@"):
        found = (n for n, line in enumerate(lines) if line.startswith(("def ", "async def ")))
        decorators = next(found, 0)
    return file, first + decorators, code.co_qualname


def _outwards(frame: FrameType | None) -> Iterator[Position]:
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _inwards(trace: TracebackType | None) -> Iterator[Position]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
