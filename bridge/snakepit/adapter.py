"""Adapters that were written for Snakepit's Python side, served as they are.

Snakepit makes an instance of the class for every request, gives it a session and calls its
``execute_tool``. Here an instance serves any number of requests, as of every adapter:

=============================================  ====================================================
of the class                                   here
=============================================  ====================================================
``execute_tool(tool_name, arguments,           runs every call, whatever its name; may be ``async``;
context)``                                     a stream takes what it returns item by item
methods marked with Snakepit's ``@tool``       tools of their own, if there is no ``execute_tool``
``set_session_context(context)``               called once, with a view of whichever call is running
``initialize()``, ``cleanup()``                called once, at the start and at the end
``__thread_safe__``                            whether calls that run at once share the instance;
                                               else each has one of its own (``instances.py``)
=============================================  ====================================================

Nothing of Snakepit is imported. A class that derives from its base classes finds them beside the
script in whose place the bridge was started, which is the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..adapter import Adapter, bind_tools, tool_names
from ..loading import LoadedAdapter, RunHook, adapt, create, resolve, run_hook
from ..running_call import running_call
from ..tool import Tool, ToolOptions
from .instances import Instances, MainThread
from .items import AsyncItems, Items
from .sensitive import is_sensitive
from .session import SessionContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What an adapter's ``execute_tool`` is called as a tool, once for each kind of request. Names
#: that begin so cannot be those of other tools.
EXECUTE, EXECUTE_STREAMING = "$/ExecuteTool", "$/ExecuteStreamingTool"
#: Where Snakepit's ``@tool`` leaves what it was told.
_MARK = "_tool_metadata"
#: What Snakepit's worker returns for a stream that nobody has asked for as one.
_NO_STREAM = {"error": "Streaming tool called on non-streaming endpoint."}


def load(name: str, app_dir: str | None = None) -> LoadedAdapter:
    """Find and build an adapter. Raises as ``build``, or ``AdapterError``: it cannot be found."""
    return build(name, resolve(name, app_dir))


def build(
    name: str,
    cls: object,
    *,
    shares: bool = False,
    main_thread: MainThread | None = None,
    correlate: Callable[[str | None], object] = lambda correlation_id: None,
) -> LoadedAdapter:
    """An adapter in the way of Snakepit, or in that of the bridge.

    Args:
        name: as ``--adapter`` has it.
        cls: the class or module that was found under this name.
        shares: whether all its calls have one instance, which must declare to be made for that;
            default: each has one of its own if need be.
        main_thread: runs calls that are sensitive to the thread; default: they run on any.
        correlate: told the correlation id of each call, in its context.

    Raises:
        AdapterError: it cannot be built or served.
    """
    target = create(name, cls)
    if not _is_for_snakepit(target):
        adapt(name, target)  # says what is wrong with it
    return SnakepitAdapter(name, cls, target, shares, main_thread, correlate)


class SnakepitAdapter(LoadedAdapter):
    """An adapter that Snakepit calls; ``build`` makes it."""

    def __init__(
        self,
        name: str,
        cls: object,
        target: object,
        shares: bool,
        main_thread: MainThread | None,
        correlate: Callable[[str | None], object],
    ) -> None:
        super().__init__(name, target, {})
        self._context = SessionContext()
        self._main_thread = main_thread
        self._correlate = correlate
        thread_safe = super().thread_safe
        lends = isinstance(cls, type) and not shares and not thread_safe
        self._instances = Instances(target, self._make if lends else None)
        self._class = cls
        #: What was made for calls at once.
        self._others: list[SnakepitAdapter] = []
        self._thread_safe = thread_safe or lends
        if not shares and not self._thread_safe:
            self.workers = 1  # a module
        self.tools.update(self._find_tools())
        if _executes(target):
            self.tools[EXECUTE] = _any_tool(EXECUTE, self._execute, stream=False)
            self.tools[EXECUTE_STREAMING] = _any_tool(
                EXECUTE_STREAMING, self._execute_streaming, stream=True
            )

    @property
    def thread_safe(self) -> bool:
        """Whether its calls may run at once, on one instance or on several."""
        return self._thread_safe

    def setup(self, run: RunHook = run_hook) -> None:
        self.run_step("set_session_context", run, self._context)
        super().setup(run)
        self.run_step("initialize", run)

    def close(self, run: RunHook = run_hook) -> None:
        for other in self._others:
            other.close(run)
        try:
            cleanup = getattr(self.target, "cleanup", None)
            if callable(cleanup):
                run(cleanup)
        finally:
            super().close(run)

    # -- its tools --------------------------------------------------------------------------

    def _execute(self, tool_name: str, arguments: dict[str, Any]) -> Any:
        return _without_stream(self._run(tool_name, arguments))

    def _execute_streaming(self, tool_name: str, arguments: dict[str, Any]) -> Any:
        return _items(self._run(tool_name, arguments))

    def _run(self, tool_name: str, arguments: dict[str, Any]) -> Any:
        def execute(instance: Any) -> Any:
            return instance.execute_tool(
                tool_name=tool_name, arguments=arguments, context=self._context
            )

        return self._with_instance(execute, arguments)

    def _find_tools(self) -> dict[str, Tool]:
        target = self.target
        if not isinstance(target, Adapter) and _is_for_snakepit(target):
            marked = _marked_methods(type(target))
            return {name: self._tool(name, _read_mark(name, target)) for name in marked}
        if isinstance(self._class, type):
            tools = bind_tools(target).values()
            names = (
                type(target).__tools__ if isinstance(target, Adapter) else tool_names(type(target))
            )
            pairs = zip(names, tools, strict=True)
            return {tool.name: self._tool(name, tool) for name, tool in pairs}
        return bind_tools(target)

    def _tool(self, attribute: str, tool: Tool) -> Tool:
        """The same tool, each call of which has an instance."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._with_instance(
                lambda instance: getattr(instance, attribute)(*args, **kwargs), kwargs
            )

        return tool.calling(_to_the_end(call) if tool.streaming else call)

    def _with_instance(self, work: Callable[[Any], Any], arguments: dict[str, Any]) -> Any:
        running = running_call.get(None)
        metadata = {} if running is None else running.metadata
        self._correlate(metadata.get("correlation_id"))
        main_thread = self._main_thread
        if main_thread is None or not is_sensitive(metadata, arguments, os.environ):
            return self._instances.call(work)
        return self._instances.call(lambda instance: main_thread.run(lambda: work(instance)))

    # -- its life ---------------------------------------------------------------------------

    def _make(self) -> object:
        """A further instance, set up on the thread of the call that needs it."""
        other = SnakepitAdapter(
            self.name, self._class, create(self.name, self._class), True, None, self._correlate
        )
        other.setup()
        self._others.append(other)
        return other.target


def _executes(target: object) -> bool:
    return callable(getattr(target, "execute_tool", None))


def _is_for_snakepit(target: object) -> bool:
    """Whether it was written for Snakepit; else its tools are marked in the way of the bridge."""
    if _executes(target):
        return True
    return not isinstance(target, Adapter) and bool(_marked_methods(type(target)))


def _read_mark(name: str, target: object) -> Tool:
    method = getattr(target, name)
    mark = getattr(method, _MARK)
    stream = True if getattr(mark, "supports_streaming", False) else None
    # Snakepit does not look at annotations
    options = ToolOptions(name, getattr(mark, "description", None), False, stream, validate=False)
    return Tool(name, method, options)


def _any_tool(name: str, function: Callable[..., Any], stream: bool) -> Tool:
    """``execute_tool``. What it does with a name is its own business: it may be asynchronous."""
    return Tool(
        name, function, ToolOptions(name, None, False, stream, validate=False), is_async=True
    )


def _marked_methods(cls: type) -> dict[str, Any]:
    methods = ((name, getattr(cls, name, None)) for name in dir(cls))
    return {
        name: method
        for name, method in methods
        if getattr(method, _MARK, None) is not None and callable(method)
    }


def _without_stream(value: Any) -> Any:
    """The result of a call that is no stream; a generator is none, as Snakepit's worker has it."""
    if hasattr(value, "__await__"):
        return _without_stream_later(value)
    if hasattr(value, "__aiter__") or hasattr(value, "__next__"):
        from ..log import logger

        logger().warning("a tool has streamed without being asked to: use execute_stream")
        if isinstance(value, Items):
            value.close()
        return _NO_STREAM
    return value


async def _without_stream_later(value: Any) -> Any:
    return _without_stream(await value)


def _items(value: Any) -> Any:
    """What a stream takes one by one: lists and iterators; anything else is one item."""
    if hasattr(value, "__await__"):
        return _items_later(value)
    if isinstance(value, Items | AsyncItems):
        return value
    if hasattr(value, "__aiter__"):
        return AsyncItems(value, _nothing)
    if isinstance(value, list | tuple) or hasattr(value, "__next__"):
        return Items(value, _nothing)
    return Items(() if value is None else (value,), _nothing)


async def _items_later(value: Any) -> Any:
    return _items(await value)


def _to_the_end(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: _items(function(*args, **kwargs))


def _nothing() -> None:
    """No instance is to be given back."""
