"""What a running tool sees of its call.

A tool that has a parameter annotated ``Context`` receives it; any code below a tool gets it from
``current_context()``, which follows ``contextvars`` and so works in async tools as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar

from .errors import CallError
from .typing_names import Any, Protocol


class Elixir(Protocol):
    """The program that called, where it can be called in turn. Any thread may do so."""

    def call_tool(self, call: RunningCall, name: str, params: dict[str, Any]) -> Any:
        """Call one of its tools and wait. Raises ``CallError``."""
        raise NotImplementedError

    def list_tools(self, call: RunningCall) -> dict[str, dict[str, Any]]:
        """What may be called, by name. Raises ``CallError``."""
        raise NotImplementedError


class RunningCall(Protocol):
    """What a context needs to know of its call. Any thread may use it."""

    key: int
    session: str | None
    metadata: Mapping[str, str]
    #: When the time of the call is up, as ``time.monotonic()`` counts; None: never.
    deadline: float | None
    #: Why nobody waits for the call any more; None while somebody does.
    interruption: CallError | None

    @property
    def tool_name(self) -> str:
        """The name of the tool that was called."""
        raise NotImplementedError

    @property
    def elixir(self) -> Elixir | None:
        """The way back to the program that called; None if there is none."""
        raise NotImplementedError

    def needs_worker(self) -> RunningCall:
        """Note that the tool asked for its context, as it may wait then; returns the call."""
        raise NotImplementedError

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` once when the call is interrupted; at once if it is already."""
        raise NotImplementedError

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not run ``callback`` any more; no effect if it was."""
        raise NotImplementedError

    def wait(self, seconds: float | None) -> bool:
        """Sleep until the call is interrupted, at most ``seconds``; returns whether it is."""
        raise NotImplementedError

    def progress(self, done: float, total: float | None, text: str | None) -> None:
        """Tell the caller how far the work is. Never blocks, never raises."""
        raise NotImplementedError

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        """Send a line to the caller's log. Never blocks, never raises."""
        raise NotImplementedError

    def outside(self) -> Any:
        """For ``with``: around code of the bridge that the tool calls, which is not interrupted."""
        raise NotImplementedError

    def log_origin(self) -> tuple[object, int | None, str] | None:
        """What a record of ``logging`` that is made here belongs to.

        Returns:
            The peer that called, the key if the call has no answer yet, and the tool's name; None:
            the call that ran here is over.
        """
        raise NotImplementedError


#: The call that the running code belongs to. Each call runs in a fresh ``contextvars.Context``.
running_call: ContextVar[RunningCall] = ContextVar("bridge_running_call")


class _Nowhere:
    """For ``with``, where there is no tool to come out of."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


NOWHERE = _Nowhere()


def outside_tool() -> Any:
    """For ``with``: around code of the bridge that some code below a tool may call; see
    ``RunningCall.outside``."""
    call = running_call.get(None)
    return NOWHERE if call is None else call.outside()


def current_context() -> Context:
    """The context of the call that is running here, on a worker or in an async tool.

    Raises:
        LookupError: No call is running here.
    """
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
        """Whether the call has ended: cancelled, out of time, or the bridge is shutting down."""
        return self._call.interruption is not None

    def check(self) -> None:
        """Leave the tool if nobody waits for its result any more; no effect otherwise.

        Raises:
            Cancelled: The caller cancelled.
            DeadlineExceeded: The time of the call is up.
            ShuttingDown: The bridge is shutting down, or its peer has gone.
        """
        interruption = self._call.interruption
        if interruption is not None:
            raise interruption.again()

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, at least 0; None if the caller waits for ever."""
        deadline = self._call.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep, but no longer than somebody waits for the call.

        Args:
            seconds: How long at most; default: None, until nobody waits.

        Returns:
            Whether the call is cancelled, as with ``threading.Event.wait``.
        """
        return self._call.wait(seconds)

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once when the call is cancelled; at once if it is already.

        It runs on the thread that cancels, which has others to serve: it must not block. What it
        raises is logged.
        """
        self._call.on_interrupt(callback)

    def progress(self, done: float, total: float | None = None, text: str | None = None) -> None:
        """Tell the caller how far the work is. Never blocks: dropped if the peer does not read.

        Args:
            done: How much is done, in a unit of the tool's choice.
            total: How much there is to do, in the same unit; default: None, not known.
            text: What is being done, for people; default: None.
        """
        self._call.progress(done, total, text)

    def log(self, level: str, text: str, **fields: Any) -> None:
        """Send a line to the caller's log. Never blocks: dropped if the peer does not read.

        Args:
            level: ``debug``, ``info``, ``warning`` or ``error``.
            text: The line.
            fields: Further values, by name, that can travel.
        """
        self._call.log(level, text, fields)

    def call_elixir(self, name: str, /, **params: Any) -> Any:
        """Call a tool of the Elixir program, in the session of this call, and wait for its result.

        Blocks until Elixir has answered, or nobody waits for this call any more; in an ``async
        def`` use ``asyncio.to_thread``. Only bridges that Snakepit started have this way back.

        Args:
            name: The tool.
            params: Its arguments, by name.

        Returns:
            The result: any value that JSON has, or bytes.

        Raises:
            CallError: What Elixir says, that it cannot be reached, or that there is no way back.
        """
        with outside_tool():
            return self._elixir().call_tool(self._call, name, params)

    def elixir_tools(self) -> dict[str, dict[str, Any]]:
        """The tools that ``call_elixir`` can call in this session.

        Returns:
            By name, for each a map with ``name``, ``description``, ``parameters``, ``metadata``.

        Raises:
            CallError: As ``call_elixir`` raises it.
        """
        with outside_tool():
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
