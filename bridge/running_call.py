"""A call as the code knows it that stands between the bridge and its tools.

What ``Context`` needs of a call, the way back to the program that called, and the call to which the
running code belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar

from .errors import CallError
from .typing_names import Any, Protocol


class Elixir:
    """The program that called, where it can be called in turn. Any thread may do so.

    ``params`` are arguments by position or by name; ``timeout_s`` is how long to wait at most, in
    seconds, and None as long as somebody waits for ``call``. What is not overridden says that this
    program cannot do it.
    """

    def call_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        """Call one of its functions and wait. Raises ``CallError``."""
        raise self._refusal(f"{name} cannot be called")

    async def acall_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        """The same on an event loop, which goes on meanwhile. Raises ``CallError``."""
        import asyncio

        return await asyncio.to_thread(self.call_tool, call, name, params, timeout_s)

    def stream_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Iterator[Any]:
        """The items of one of its functions, as they are wanted. Raises ``CallError``."""
        raise self._refusal(f"{name} cannot be streamed")

    def list_tools(self, call: RunningCall) -> dict[str, dict[str, Any]]:
        """What may be called, by name. Raises ``CallError``."""
        raise self._refusal("nobody can say what there is")

    def send(self, call: RunningCall, name: str, message: Any) -> None:
        """Send a message to one of its processes, and go on. Raises ``CallError``."""
        raise self._refusal(f"{name} cannot be sent a message")

    def _refusal(self, what: str) -> CallError:
        return CallError(f"{what} in the program that calls here", code="unimplemented")


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
