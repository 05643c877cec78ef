"""A tool as one process serves it."""

from __future__ import annotations

from itertools import islice

from ..errors import InvalidParams, ToolNotFound, shorten
from ..running_call import running_call
from ..signature import CO_ASYNC_GENERATOR, CO_COROUTINE
from .latency import LatencyGate
from .region import run_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..annotations import Checks
    from ..conversions import Conversion
    from ..tool import Tool
    from .job import SerialQueue


class ServedTool:
    """A ``Tool`` and what serving it keeps: its place in a serial queue, how quick it has been.

    ``function``: what is called, by ``execution.execute`` alone. ``deferred``: its value is not
    the result yet, but a coroutine or a stream. ``serial``: calls of this tool wait here for each
    other; None: any number may run together. ``latency``: whether it is quick enough to run on the
    thread that reads. ``interruptible``: whether it is ended when nobody awaits its result.
    ``on_loop``: whether a call is a task of the event loop, and needs no worker.
    """

    __slots__ = (
        *("tool", "name", "function", "bind", "arity", "streaming", "is_async"),
        *("wants_context", "deferred", "serial", "latency", "interruptible", "on_loop"),
    )

    def __init__(
        self,
        tool: Tool,
        serial: SerialQueue | None,
        interruptible: bool = False,
        on_loop: bool = False,
    ) -> None:
        self.tool = tool
        self.name = tool.name
        function = tool.function if tool.checks is None else checked(tool.function, tool.checks)
        if tool.conversion is not None:
            function = converted(function, tool.conversion)  # first, as it makes what is checked
        self.function = interruptibly(function) if interruptible else function
        self.interruptible = interruptible
        self.bind = tool.bind
        self.arity = tool.arity
        self.streaming = tool.streaming
        self.is_async = tool.is_async
        self.wants_context = tool.wants_context
        self.deferred = tool.streaming or tool.is_async
        self.serial = serial
        self.on_loop = on_loop
        # what waits for others must not wait on the thread that reads
        self.latency = LatencyGate(never=self.deferred or tool.wants_context or serial is not None)

    def __repr__(self) -> str:
        return f"<ServedTool {self.tool.signature}>"

    def wrong_form(self) -> InvalidParams:
        """The answer to a call that wants items of a tool which returns, or the reverse."""
        text = "does not stream: it returns one result. Call it without the option stream (Bridge.call/4)"
        if self.streaming:
            text = (
                "streams: call it with the option stream (Bridge.stream/4), over gRPC with CallStream, "
                "from Snakepit with execute_stream"
            )
        return InvalidParams(f"{self.name} {text}", started=False)


def serve(
    tools: Mapping[str, Tool],
    new_queue: Callable[[int], SerialQueue],
    is_interruptible: Callable[[Tool], bool],
    loop: bool,
) -> dict[str, ServedTool]:
    """The tools as they are served, by name, in the order of their names.

    Args:
        tools: what is served.
        new_queue: makes a queue with a limit of its own.
        is_interruptible: whether a tool may be ended by force.
        loop: whether calls of asynchronous tools are tasks of the event loop.
    """
    served = {}
    for name, tool in sorted(tools.items()):
        limit = tool.max_concurrency
        queue = None if limit is None else new_queue(limit)
        on_loop = loop and _is_asynchronous(tool)
        # a task is cancelled
        served[name] = ServedTool(tool, queue, not on_loop and is_interruptible(tool), on_loop)
    return served


def checked(function: Callable[..., Any], checks: Checks) -> Callable[..., Any]:
    """What calls ``function`` with arguments that are what its annotations say.

    It is part of the tool, and runs where that runs: what checks may be slow, and code of users.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        given, named = checks(args, kwargs)
        return function(*given, **named)

    return call


def converted(function: Callable[..., Any], conversion: Conversion) -> Callable[..., Any]:
    """What calls ``function`` with arguments of the types that its annotations name.

    It is part of the tool, and runs where that runs: to make a frame may take long.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        given, named = conversion(args, kwargs)
        return function(*given, **named)

    return call


def interruptibly(function: Callable[..., Any]) -> Callable[..., Any]:
    """What calls ``function`` in a region of the call that runs there."""

    def call(*args: Any, **kwargs: Any) -> Any:
        running: Any = running_call.get()
        return run_inside(running, function, *args, **kwargs)

    return call


def _is_asynchronous(tool: Tool) -> bool:
    """Whether to call the function runs none of its code, which would hold up the event loop.

    Of the function itself: what wraps an asynchronous one may run it, and do anything else.
    """
    flags = getattr(getattr(tool.function, "__code__", None), "co_flags", 0)
    return bool(flags & (CO_ASYNC_GENERATOR if tool.streaming else CO_COROUTINE))


def not_found(name: str, tools: Mapping[str, ServedTool]) -> ToolNotFound:
    """The answer to a call of a tool that is not among ``serve()``'s, whose order it shows."""
    shown = ", ".join(islice(tools, 20)) + (", …" if len(tools) > 20 else "")
    return ToolNotFound(f"there is no tool {shorten(name)}; there are {shown}", started=False)
