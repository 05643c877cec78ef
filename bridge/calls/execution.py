"""The one way to run a tool and to answer its call: on a worker, inline, and in the race check."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..errors import EncodeError
from .failures import empty_frames, free_frames, send_failure, unencodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context as Variables
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
        elif len(args) == 1:
            result = variables.run(tool.function, args[0])  # most calls; *args makes a tuple
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
            free_frames(error)
    if failure is None:
        try:
            # before the claim: its code runs (__str__, model_dump, a property), and may not end
            result = peer.prepare_result(key, result)
        except BaseException as error:
            failure = unencodable(tool.name, error) if type(error) is EncodeError else error
            result = None  # as the arguments
            if failure is not error:
                empty_frames(error)  # it was raised from what the tool's classes have raised
    if not running.claim():
        running.answered_elsewhere(failure)
        if failure is None:
            return False
        empty_frames(failure)
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
    empty_frames(failure)
    failure = None
    return True
