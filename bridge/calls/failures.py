"""What becomes of the exceptions of tools: the answers made of them, and what they keep let go."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import islice

from ..errors import (
    CODES,
    MAX_ERROR_BYTES,
    CallError,
    EncodeError,
    ToolFailed,
    class_name,
    cut,
    cut_lines,
    shorten,
    text_of,
)
from ..gil import is_enabled
from .failure_details import read_details

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from traceback import TracebackException
    from types import FrameType
    from typing import Any

    from .interfaces import Peer

#: What NumPy and others say of an array that must not be written to.
_READ_ONLY = ("read-only", "readonly", "not writable", "not writeable", "writeable flag")
#: Flags of the code of generators, coroutines and async generators (``inspect.CO_GENERATOR`` …).
_RESUMABLE = 0x20 | 0x80 | 0x200
#: So many notes of one exception are told.
_MAX_NOTES = 100
_OWN_DIRECTORY = os.path.join(os.path.dirname(__file__), "")


def is_own_file(name: str) -> bool:
    """Whether it is code between a transport and a tool."""
    return name.startswith(_OWN_DIRECTORY)


def send_failure(
    peer: Peer,
    key: int,
    tool: str,
    failure: BaseException,
    describe: Callable[[BaseException], CallError] | None = None,
) -> None:
    """Answer a call, whose claim the caller has, with an exception, whatever that may be.
    ``describe`` makes the answer of it, and may raise.
    """
    try:
        peer.send_error(key, (describe or describe_failure)(failure))
    except BaseException:
        # its code may run, and that of its details; who claimed the call answers it all the same
        try:
            error = ToolFailed(f"{tool} failed, and so did describing how", started=True)
            peer.send_error(key, error)
        except BaseException:
            peer.send_exhausted(key)


def free_frames(error: BaseException) -> None:
    """Let go of what the tool took, so that there is room for an answer: its frames hold it. Never raises."""
    try:
        error.__context__ = None
        trace = error.__traceback__
        while trace is not None:
            try:
                trace.tb_frame.clear()
            except RuntimeError:
                pass  # it runs: one of ours
            trace = trace.tb_next
    except BaseException:
        pass  # an attribute of the tool's own exception


def unprepared(failure: BaseException) -> CallError:
    """The answer to a call on a thread whose ``setup_worker()`` has raised ``failure``; it is logged."""
    from ..log import logger

    logger().error("setup_worker() failed", exc_info=failure)
    error = describe_failure(failure)
    return ToolFailed(
        f"setup_worker() failed on the thread of this call: {error.message}",
        type=error.type,
        traceback=error.traceback,
        started=False,
    )


def empty_frames(failure: BaseException) -> None:
    """Have what a tool failed with keep nothing of the call, wherever the tool has put it.

    An exception keeps the frames that it left, and those that had called them; if one of these keeps
    the exception, arguments and results stay in memory until a full collection. Never raises.
    """
    if not is_enabled():
        return  # a frame may be run by another thread, and be cleared under its feet
    try:
        _clear_frames(failure)
    except BaseException:
        pass  # an attribute of the tool's own exception


def _clear_frames(failure: BaseException) -> None:
    seen: set[int] = set()
    todo: list[BaseException | None] = [failure]
    while todo:
        error = todo.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        todo += (error.__cause__, error.__context__)
        trace = error.__traceback__
        while trace is not None:
            frame: FrameType | None = trace.tb_frame
            while frame is not None and id(frame) not in seen:
                seen.add(id(frame))
                if not frame.f_code.co_flags & _RESUMABLE:  # which clear() would end for good
                    try:
                        frame.clear()
                    except RuntimeError:
                        break  # it runs still, and so do its callers
                frame = frame.f_back
            trace = trace.tb_next
    if isinstance(failure, CallError):
        failure.__traceback__ = None  # each time that it is raised would add to it


def unencodable(tool: str, error: EncodeError) -> CallError:
    """The answer to a call whose result, or one item of it, has no form on the wire."""
    return ToolFailed(f"{tool}: {error}", type="bridge.errors.EncodeError", started=True)


def unhandled(name: str, failure: Exception) -> CallError:
    """The answer to a message that the bridge itself failed to handle; it is logged, too.

    Args:
        name: what the message asked for.
        failure: what was raised. The tool has not begun.
    """
    from ..log import logger

    logger().error("a message for %s could not be handled", shorten(name), exc_info=failure)
    return CallError(
        f"{shorten(name)} could not be called, by a fault of the bridge: {shorten(failure, 200)}",
        code="resource_exhausted" if isinstance(failure, MemoryError) else "internal",
        started=False,
    )


def describe_failure(failure: BaseException) -> CallError:
    """The exception of a tool as an error for its caller. A ``CallError`` is passed on."""
    if issubclass(type(failure), CallError):
        assert isinstance(failure, CallError)
        if failure.started is None:
            failure.started = True
        return failure if _is_regular(failure) else _regular(failure)
    kind = type(failure)
    try:
        message = cut(_with_way_out(failure, str(failure)), MAX_ERROR_BYTES)
    except BaseException:
        message = ""  # no text, or still no memory for one
    try:
        lines = cut_lines(_format(failure))
    except BaseException:
        lines = []
    return ToolFailed(
        message or class_name(kind, module=False),
        type=class_name(kind),
        traceback=lines,
        started=True,
        details=read_details(failure),
    )


def _is_text(lines: object) -> bool:
    """Whether it is a list of nothing but text."""
    return type(lines) is list and all(type(line) is str for line in lines)


def _is_regular(error: CallError) -> bool:
    return (
        type(error.code) is str
        and error.code in CODES
        and type(error.message) is str
        and (error.type is None or type(error.type) is str)
        and (error.traceback is None or _is_text(error.traceback))
        and type(error.started) is bool
        and (error.details is None or isinstance(error.details, dict))
    )


def _regular(error: CallError) -> CallError:
    """The same where a tool, or its own class of errors, has given other things than are due."""
    code, lines, details = error.code, error.traceback, error.details
    if lines is not None and not _is_text(lines):
        lines = cut_lines(lines if type(lines) in (list, tuple) else text_of(lines).splitlines())
    if isinstance(details, Mapping):
        # one of a class of its own may never end
        details = {name: details[name] for name in islice(details, len(details))}
    elif details is not None:
        details = {"details": details}
    return CallError(
        text_of(error.message),
        code=code if type(code) is str and code in CODES else "internal",
        type=None if error.type is None else text_of(error.type),
        traceback=lines,
        started=error.started if type(error.started) is bool else True,
        details=details,
    )


def _with_way_out(failure: BaseException, message: str) -> str:
    """What an exception says, and what to do where the bridge is the reason."""
    if isinstance(failure, ValueError | TypeError | BufferError | RuntimeError):
        words = message.lower()
        if any(word in words for word in _READ_ONLY) and "numpy" in sys.modules:
            return (
                f"{message} (an array that arrives as an argument is read-only; a tool that changes "
                "it works on a copy: values = values.copy())"
            )
    return message


def _bound_notes(summary: TracebackException) -> None:
    """Have the notes of an exception, and of those that it came from, be a list that ends, of text.

    Python takes any sequence for them, and asks it for items until it has no more.
    """
    todo: list[TracebackException | None] = [summary]
    while todo:
        told = todo.pop()
        if told is None:
            continue
        todo += (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ()))
        notes: Any = getattr(told, "__notes__", None)
        if isinstance(notes, list):
            notes = [text_of(note) for note in list.__getitem__(notes, slice(_MAX_NOTES))]
        elif notes is not None:
            notes = [shorten(notes)]
        told.__notes__ = notes


def _format(failure: BaseException) -> list[str]:
    import traceback

    summary = traceback.TracebackException.from_exception(failure)
    _bound_notes(summary)
    # how the bridge came to call the tool says nothing to the caller
    while summary.stack and is_own_file(summary.stack[0].filename):
        del summary.stack[0]
    return "".join(summary.format()).splitlines()
