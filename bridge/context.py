"""What a running tool sees of its call.

A tool that has a parameter annotated ``Context`` receives it; any code below a tool gets it from
``current_context()``, which follows ``contextvars`` and so works in async tools as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from .errors import CallError, InvalidParams
from .running_call import Elixir, RunningCall, outside_tool, running_call
from .typing_names import Any


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

    def call_elixir(
        self, name: str, /, *args: Any, timeout_s: float | None = None, **named: Any
    ) -> Any:
        """Call a function of the Elixir program, and wait for its result.

        It is cancelled when nobody waits for this call any more. While it is waited for, calls of
        tools that the function makes run on this thread, so that a full pool cannot hold them up.
        In an ``async def`` use ``acall_elixir``.

        Args:
            name: What the program offers it as: the option ``functions:`` of ``Bridge``, or a tool
                of Snakepit.
            args: Its arguments by position; Snakepit knows none.
            timeout_s: How long to wait at most, in seconds; default: None, as long as somebody
                waits for this call.
            named: Its arguments by name: one map.

        Returns:
            The result: any value that the protocol has; with Snakepit, that JSON has, or bytes.

        Raises:
            ElixirError: It failed, is not offered, or too many are running.
            CallError: Nobody waits any more, or there is no way back.
        """
        params = _params(name, args, named)
        with outside_tool():
            return self._elixir().call_tool(self._call, name, params, timeout_s)

    async def acall_elixir(
        self, name: str, /, *args: Any, timeout_s: float | None = None, **named: Any
    ) -> Any:
        """``call_elixir`` for an ``async def``: other tools of the event loop go on meanwhile."""
        params = _params(name, args, named)
        return await self._elixir().acall_tool(self._call, name, params, timeout_s)

    def stream_elixir(
        self, name: str, /, *args: Any, timeout_s: float | None = None, **named: Any
    ) -> Iterator[Any]:
        """The items of a function of Elixir that returns an enumerable, made as they are taken.

        Elixir is asked when the first is wanted, and is some 64 items ahead at most. Leaving the
        loop ends the enumeration there. The arguments, and what is raised, are as with
        ``call_elixir``.

        Returns:
            An iterator; a result that is no enumerable is its only item.
        """
        params = _params(name, args, named)
        return _outside(self._elixir().stream_tool(self._call, name, params, timeout_s))

    def send_elixir(self, name: str, message: Any) -> None:
        """Send a message to a process of the Elixir program, and go on.

        Args:
            name: Under which the program lets it be reached: the option ``processes:`` of ``Bridge``.
            message: Any value that the protocol has. A name that is not offered, and a process
                that is not there, are logged in Elixir.

        Raises:
            CallError: The message has no form on the wire, or there is no way back.
        """
        with outside_tool():
            self._elixir().send(self._call, name, message)

    def elixir_tools(self) -> dict[str, dict[str, Any]]:
        """What ``call_elixir`` can call.

        Returns:
            By name, for each a map with ``name`` and ``description``; of functions over the pipe
            ``arity`` (a list), of tools of Snakepit ``parameters`` and ``metadata``.

        Raises:
            CallError: As ``call_elixir`` raises it.
        """
        with outside_tool():
            return self._elixir().list_tools(self._call)

    def _elixir(self) -> Elixir:
        elixir = self._call.elixir
        if elixir is None:
            raise CallError(
                "there is no way back to Elixir: the caller offers no functions (the option "
                "functions: of Bridge does, over the pipe; callers over gRPC have none), and "
                "Snakepit did not start this process",
                code="failed_precondition",
            )
        return elixir


def _outside(items: Iterator[Any]) -> Iterator[Any]:
    """The same items; what makes them is code of the bridge, see ``outside_tool``."""
    try:
        while True:
            with outside_tool():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
    finally:
        with outside_tool():
            items.close()  # type: ignore[attr-defined]


def _params(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> list[Any] | dict[str, Any]:
    if args and named:
        raise InvalidParams(
            f"{name}: a function of Elixir takes its arguments by position, or one map of them by name",
            started=False,
        )
    return named or list(args)
