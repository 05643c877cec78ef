"""The one way to run a tool and to answer its call: on a worker, inline, and in the race check."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
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
    from contextvars import Context as Variables
    from types import FrameType
    from typing import Any, Protocol

    from .interfaces import Peer
    from .region import Region

    class Callee(Protocol):
        """What is called: a ``ServedTool``, or the outcome of one."""

        @property
        def name(self) -> str: ...
        @property
        def function(self) -> Callable[..., Any]: ...
        @property
        def deferred(self) -> bool: ...


#: What NumPy and others say of an array that must not be written to.
_READ_ONLY = ("read-only", "readonly", "not writable", "not writeable", "writeable flag")
#: Flags of the code of generators, coroutines and async generators (``inspect.CO_GENERATOR`` …).
_RESUMABLE = 0x20 | 0x80 | 0x200
_OWN_DIRECTORY = os.path.join(os.path.dirname(__file__), "")


class Running(ABC):
    """What ``execute`` asks of the call that it runs. Its thread alone calls these.

    ``running_tool``: the name of the tool, for any thread; None: just now there is none.
    """

    __slots__ = ()

    #: Where the thread is in the tool, if that may be interrupted; see ``region.py``.
    region: Region | None = None

    def region_of(self, call: Running) -> Region | None:
        """Where the thread is in the tool of ``call``. Another thread calls it."""
        return self.region

    @property
    @abstractmethod
    def running_tool(self) -> str | None:
        """What runs here."""

    @abstractmethod
    def claim(self) -> bool:
        """Whether the answer is for this thread to give. If so its key may be used again."""

    @abstractmethod
    def finish(self, value: Any) -> Any:
        """Bring what a deferred tool returned to its end: await it, or send it item by item."""

    @abstractmethod
    def answered_elsewhere(self, failure: BaseException | None) -> None:
        """Note that somebody else has given the answer, and what the tool has raised."""


def execute(
    running: Running,
    tool: Callee,
    args: list[Any],
    kwargs: dict[str, Any],
    variables: Variables,
    peer: Peer,
    key: int,
) -> bool:
    """Run a tool, and answer its call unless somebody has.

    Nothing else calls a tool. Whatever the tool, its result or its exception do, the call has its
    answer when this returns, and nothing of them is kept.

    Args:
        running: the call.
        tool: its tool.
        args: what it is given by position. Whoever lets go of what is passed here has it freed as
            soon as the tool has returned.
        kwargs: what it is given by name.
        variables: the ``contextvars`` in which all of it runs.
        peer: who gets the answer.
        key: under which key.

    Returns:
        Whether the call failed.
    """
    failure: BaseException | None = None
    result: Any = None
    try:
        if kwargs:
            result = variables.run(tool.function, *args, **kwargs)
        else:
            result = variables.run(tool.function, *args)  # a dict less to make
        del args, kwargs  # what is large in them need not live until the result is sent
        if tool.deferred:
            result = variables.run(running.finish, result)
    except BaseException as error:
        # the one place where a tool's exceptions end, SystemExit and KeyboardInterrupt too
        failure = error
        args, kwargs = [], {}  # noqa: F841  # whoever keeps the exception keeps this frame
        if issubclass(type(error), MemoryError):  # isinstance() would ask an attribute of its own
            _free(error)
    if failure is None:
        try:
            # before the claim: its code runs (__str__, model_dump, a property), and may not end
            result = peer.prepare_result(key, result)
        except BaseException as error:
            failure = unencodable(tool.name, error) if type(error) is EncodeError else error
            result = None  # as the arguments
            if failure is not error:
                _empty_frames(error)  # it was raised from what the tool's classes have raised
    if not running.claim():
        running.answered_elsewhere(failure)
        if failure is None:
            return False
        _empty_frames(failure)
        failure = None  # its traceback would keep this frame alive, and with it what it holds
        return True
    if failure is None:
        try:
            peer.send_result(key, result)
            return False
        except BaseException as error:
            failure = unencodable(tool.name, error) if type(error) is EncodeError else error
    result = None
    send_failure(peer, key, tool.name, failure)
    _empty_frames(failure)
    failure = None
    return True


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


def _free(error: BaseException) -> None:
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


def _empty_frames(failure: BaseException) -> None:
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
        started=bool(error.started),
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


def _format(failure: BaseException) -> list[str]:
    import traceback

    summary = traceback.TracebackException.from_exception(failure)
    # how the bridge came to call the tool says nothing to the caller
    while summary.stack and is_own_file(summary.stack[0].filename):
        del summary.stack[0]
    return "".join(summary.format()).splitlines()
