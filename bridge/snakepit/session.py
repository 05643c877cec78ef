"""What Snakepit's adapters know of a call and its session."""

from __future__ import annotations

from contextvars import ContextVar

from ..context import current_context
from ..errors import CallError
from ..running_call import running_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The tools of Elixir as this call has seen them.
_elixir_tools: ContextVar[dict[str, Any]] = ContextVar("bridge_snakepit_elixir_tools")


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
        """As ``Context.elixir_tools()``, asked for once in a call; empty if Elixir does not answer."""
        try:
            return _list_tools()
        except CallError as error:
            from ..log import logger

            logger().warning("the tools of Elixir cannot be had: %s", error.message)
            return {}

    def call_elixir_tool(self, tool_name: str, /, **params: Any) -> Any:
        """As ``Context.call_elixir()``, with the exceptions of Snakepit's own worker.

        Raises:
            ValueError: Elixir has no such tool.
            RuntimeError: anything else has gone wrong.
        """
        context = current_context()
        try:
            return context.call_elixir(tool_name, **params)
        except CallError as error:
            if context.cancelled or error.code == "failed_precondition":
                raise  # nobody waits for this call, or there is no Elixir
            reason = (error.details or {}).get("reason")
            if reason is not None and tool_name not in _list_tools():
                raise ValueError(
                    f"Elixir tool '{tool_name}' not found. Available tools: {list(_list_tools())}"
                ) from error
            what = error.message if reason is None else f"Tool execution failed: {reason}"
            raise RuntimeError(f"Failed to call Elixir tool: {what}") from error

    def cleanup(self) -> None:
        """Nothing: sessions are Elixir's, and end there."""

    def __enter__(self) -> SessionContext:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __repr__(self) -> str:
        return f"SessionContext(session_id='{self.session_id}')"


def _list_tools() -> dict[str, Any]:
    """The tools of Elixir, asked for once in a call. Raises ``CallError``."""
    found = _elixir_tools.get(None)
    if found is None:
        found = current_context().elixir_tools()
        _elixir_tools.set(found)
    return found
