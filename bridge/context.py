"""What a running tool sees of its call.

A tool that has a parameter annotated ``Context`` receives it; any code below a tool gets it from
``current_context()``, which follows ``contextvars`` and so works in async tools as well.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from .errors import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class Elixir(Protocol):
        """The program that called, where it can be called in turn. Any thread may do so."""

        def call_tool(self, call: RunningCall, name: str, params: dict[str, Any]) -> Any:
            """Call one of its tools and wait. Raises ``CallError``."""

        def list_tools(self, call: RunningCall) -> dict[str, dict[str, Any]]:
            """What may be called, by name. Raises ``CallError``."""

    class RunningCall(Protocol):
        """What a context needs to know of its call; ``dispatcher.Call`` is one."""

        key: int
        session: str | None
        metadata: Mapping[str, str]
        deadline: float | None
        interruption: CallError | None

        @property
        def tool_name(self) -> str: ...
        @property
        def elixir(self) -> Elixir | None: ...
        def needs_worker(self) -> RunningCall: ...
        def on_interrupt(self, callback: Callable[[], object]) -> None: ...
        def forget(self, callback: Callable[[], object]) -> None: ...
        def wait(self, seconds: float | None) -> bool: ...
        def progress(self, done: float, total: float | None, text: str | None) -> None: ...
        def log(self, level: str, text: str, fields: dict[str, Any]) -> None: ...


#: The call that the running code belongs to. Each call runs in a fresh ``contextvars.Context``.
running_call: ContextVar[RunningCall] = ContextVar("bridge_running_call")


def current_context() -> Context:
    """The context of the call that is running here. Raises ``LookupError`` outside of a call."""
    try:
        call = running_call.get()
    except LookupError:
        raise LookupError("no call is running here: current_context() works inside tools") from None
    return Context(call.needs_worker())


class Context:
    """One call, as its tool sees it. Any thread may use it, also after the call has ended.

    A caller that cancels, or whose time is up, is answered at once. The tool is not interrupted
    by force: it goes on, occupying its worker, until it looks here. So look often in long work:
    ``check()`` between steps, ``wait()`` instead of ``time.sleep()``.
    """

    __slots__ = ("_call",)

    def __init__(self, call: RunningCall) -> None:
        self._call = call

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else "live"
        return f"<Context of {self.tool!r}, {state}>"

    @property
    def id(self) -> int:
        """The number of the call, unique in this process among the calls in flight."""
        return self._call.key

    @property
    def tool(self) -> str:
        """The name of the tool that was called."""
        return self._call.tool_name

    @property
    def session(self) -> str | None:
        """The session that the caller named, or None."""
        return self._call.session

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the caller sent along, for example ``traceparent``; empty by default."""
        return self._call.metadata

    @property
    def cancelled(self) -> bool:
        """Has the call been answered already: cancelled, out of time, or the bridge shuts down?"""
        return self._call.interruption is not None

    def check(self) -> None:
        """Raise ``Cancelled``, ``DeadlineExceeded`` or ``ShuttingDown`` if nobody waits any more."""
        if self._call.interruption is not None:
            raise self._call.interruption

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, at least 0; None if the caller waits for ever."""
        deadline = self._call.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep, but no longer than anybody waits for the call. Default: until then.

        Returns whether the call is cancelled, like ``threading.Event.wait``.
        """
        return self._call.wait(seconds)

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once when the call is cancelled; at once if it is already.

        It runs on the thread that cancels, which has others to serve: it must not block.
        """
        self._call.on_interrupt(callback)

    def progress(self, done: float, total: float | None = None, text: str | None = None) -> None:
        """Tell the caller how far the work is. Never blocks: dropped if the peer does not read."""
        self._call.progress(done, total, text)

    def log(self, level: str, text: str, **fields: Any) -> None:
        """Send a line to the caller's log; ``level``: debug, info, warning or error.

        ``fields``: any values that can travel. Never blocks: dropped if the peer does not read.
        """
        self._call.log(level, text, fields)

    def call_elixir(self, name: str, /, **params: Any) -> Any:
        """Call a tool of the Elixir program, in the session of this call, and return its result.

        Blocks until Elixir has answered, or nobody waits for this call any more; in an ``async
        def`` use ``asyncio.to_thread``. Raises ``CallError``: what Elixir says, that it cannot be
        reached, or that there is no way back, which only Snakepit offers.
        """
        return self._elixir().call_tool(self._call, name, params)

    def elixir_tools(self) -> dict[str, dict[str, Any]]:
        """The tools that ``call_elixir`` can call in this session, by name. Raises ``CallError``.

        Each has ``name``, ``description``, ``parameters`` and ``metadata``.
        """
        return self._elixir().list_tools(self._call)

    def _elixir(self) -> Elixir:
        elixir = self._call.elixir
        if elixir is None:
            raise CallError(
                "there is no way back to Elixir: tools of Elixir can be called by bridges that "
                "Snakepit started (python -m bridge.snakepit)",
                code="failed_precondition",
            )
        return elixir
