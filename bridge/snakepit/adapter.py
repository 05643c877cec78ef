"""Adapters that were written for Snakepit's Python side, served as they are.

Snakepit makes an instance of the class for every request, gives it a session and calls its
``execute_tool``. Here there is one instance, shared by all requests, as of every adapter:

=============================================  ====================================================
of the class                                   here
=============================================  ====================================================
``execute_tool(tool_name, arguments,           runs every call, whatever its name; may be ``async``;
context)``                                     a stream takes what it returns item by item
methods marked with Snakepit's ``@tool``       tools of their own, if there is no ``execute_tool``
``set_session_context(context)``               called once, with a view of whichever call is running
``initialize()``, ``cleanup()``                called once, at the start and at the end
``__thread_safe__``                            as everywhere: needed for more than one worker
=============================================  ====================================================

Nothing of Snakepit is imported. A class that derives from its base classes finds them beside the
script in whose place the bridge was started, which is the working directory.
"""

from __future__ import annotations

from ..adapter import Adapter
from ..context import current_context, running_call
from ..loading import LoadedAdapter, RunHook, adapt, create, resolve, run_hook
from ..tool import Tool, ToolOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: What an adapter's ``execute_tool`` is called as a tool, once for each kind of request. Names
#: that begin so cannot be those of other tools.
EXECUTE, EXECUTE_STREAMING = "$/ExecuteTool", "$/ExecuteStreamingTool"
#: Where Snakepit's ``@tool`` leaves what it was told.
_MARK = "_tool_metadata"


def load(name: str, app_dir: str | None = None) -> LoadedAdapter:
    """Find and build an adapter, in the way of Snakepit or in that of the bridge.

    Args:
        name: as ``--adapter`` has it.
        app_dir: where its module is looked for first; default: the working directory.

    Raises:
        AdapterError: it cannot be found, built or served.
    """
    return build(name, resolve(name, app_dir))


def build(name: str, target: object) -> LoadedAdapter:
    """The adapter called ``name``, of the class that was found. Raises as ``load``."""
    target = create(name, target)
    tools = _marked_tools(target)
    execute = getattr(target, "execute_tool", None)
    if callable(execute):
        tools[EXECUTE] = _any_tool(EXECUTE, _with_context(execute), stream=False)
        tools[EXECUTE_STREAMING] = _any_tool(
            EXECUTE_STREAMING, _with_items(_with_context(execute)), stream=True
        )
    return SnakepitAdapter(name, target, tools) if tools else adapt(name, target)


class SnakepitAdapter(LoadedAdapter):
    """An adapter in the way of Snakepit."""

    def setup(self, run: RunHook = run_hook) -> None:
        self.run_step("set_session_context", run, SessionContext())
        super().setup(run)
        self.run_step("initialize", run)

    def close(self, run: RunHook = run_hook) -> None:
        try:
            cleanup = getattr(self.target, "cleanup", None)
            if callable(cleanup):
                run(cleanup)
        finally:
            super().close(run)


class SessionContext:
    """What Snakepit's adapters know of a call and its session: a view of the one that asks.

    One object serves all calls, so an adapter may keep it. Between calls there is no session.
    """

    @property
    def session_id(self) -> str | None:
        """The session of the call that asks; None: it has none."""
        call = running_call.get(None)
        return None if call is None else call.session

    @property
    def request_metadata(self) -> dict[str, str]:
        """The metadata of the call that asks."""
        call = running_call.get(None)
        return {} if call is None else dict(call.metadata)

    @property
    def elixir_tools(self) -> dict[str, dict[str, Any]]:
        """As ``Context.elixir_tools()``."""
        return current_context().elixir_tools()

    def call_elixir_tool(self, tool_name: str, /, **params: Any) -> Any:
        """As ``Context.call_elixir()``."""
        return current_context().call_elixir(tool_name, **params)

    def cleanup(self) -> None:
        """Nothing: sessions are Elixir's, and end there."""


def _any_tool(name: str, function: Callable[..., Any], stream: bool) -> Tool:
    """``execute_tool``. What it does with a name is its own business: it may be asynchronous."""
    return Tool(name, function, ToolOptions(name, None, False, stream), is_async=True)


def _marked_tools(target: object) -> dict[str, Tool]:
    if isinstance(target, Adapter):
        return {}  # its tools are marked in our way
    tools: dict[str, Tool] = {}
    for name in dir(type(target)):
        method = getattr(type(target), name, None)
        mark = getattr(method, _MARK, None)
        if mark is not None and callable(method):
            stream = True if getattr(mark, "supports_streaming", False) else None
            description = getattr(mark, "description", None)
            tools[name] = Tool(
                name, getattr(target, name), ToolOptions(name, description, False, stream)
            )
    return tools


def _with_context(execute: Callable[..., Any]) -> Callable[[str, dict[str, Any]], Any]:
    context = SessionContext()

    def execute_tool(tool_name: str, arguments: dict[str, Any]) -> Any:
        return execute(tool_name=tool_name, arguments=arguments, context=context)

    return execute_tool


def _with_items(execute: Callable[..., Any]) -> Callable[..., Any]:
    def execute_streaming_tool(tool_name: str, arguments: dict[str, Any]) -> Any:
        return _items(execute(tool_name, arguments))

    return execute_streaming_tool


def _items(value: Any) -> Any:
    """What a stream takes one by one: lists and iterators; anything else is one item."""
    if hasattr(value, "__await__"):
        return _items_later(value)
    if isinstance(value, list | tuple) or hasattr(value, "__next__") or hasattr(value, "__aiter__"):
        return value
    return _one(value)


async def _items_later(value: Any) -> Any:
    return _items(await value)


def _one(value: Any) -> Iterator[Any]:
    if value is not None:
        yield value
