"""The way back over the pipe: functions of the program that started the bridge, for its tools.

Guarantees: whoever asks gets one outcome; a call that nobody awaits any more is cancelled at the
other end; what comes late is dropped. Any thread of a tool may ask; the reader hands in what has
come (``receive``).

The interleavings, each with its number where it is harmless and why (and its test):

1. The answer comes before whoever asked has begun to wait. What it waits with remembers that.
   (``test_an_answer_that_comes_before_the_wait_is_not_missed``)
2. The call is interrupted while it is noted who asks, so nobody is woken: whoever asks looks after
   that. (``test_a_call_that_was_interrupted_before_it_asks_asks_nothing``)
3. The answer and the interruption come at once. The answer counts if it is there when the thread
   wakes; else the request is cancelled, and its answer finds nobody.
   (``test_an_answer_after_the_interruption_is_dropped``)
"""

from __future__ import annotations

import sys
import time
from collections import deque

from ...errors import CallError, DeadlineExceeded, ElixirError, EncodeError, InvalidParams
from ...running_call import Elixir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ...calls import Dispatcher
    from ...running_call import RunningCall
    from ...wire import ItemReceived, ResponseReceived
    from .channel import Channel

#: So much of a stream may be under way, and wait here.
_ITEMS, _BYTES = 64, 1 << 20


class Asked:
    """A request that was made, and what has come of it. ``wake``: called when something has."""

    __slots__ = ("items", "outcome", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.items: deque[ItemReceived] = deque()
        self.outcome: ResponseReceived | None = None


class StdioElixir(Elixir):
    """Calls functions of the program at the other end.

    Args:
        channel: the way to it.
        dispatcher: whose tools ask; it lets calls that are made within theirs run meanwhile.
    """

    def __init__(self, channel: Channel, dispatcher: Dispatcher) -> None:
        self._requester = channel.connection.requester
        self._writer = channel.writer
        self._own = channel.own
        self._nesting = dispatcher.nesting
        self._asked: dict[int, Asked] = {}

    def receive(self, event: ResponseReceived | ItemReceived) -> None:
        """Hand in what has come for a request. The reader calls it."""
        is_item = hasattr(event, "size")
        asked = self._asked.get(event.msgid) if is_item else self._asked.pop(event.msgid, None)
        if asked is None:
            return  # (3) nobody waits for it
        if is_item:
            asked.items.append(event)  # type: ignore[arg-type]
        else:
            asked.outcome = event  # type: ignore[assignment]
        asked.wake()

    # -- running_call.Elixir ----------------------------------------------------------------

    def call_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        _refuse_on_loop("call_elixir", "await ctx.acall_elixir()")
        nested = self._nesting.begin(call)  # type: ignore[arg-type]
        end = _end(call, timeout_s)
        asked = Asked(nested.end_wait)
        msgid = self._ask_within(call, nested, asked, name, params, end, None)
        try:
            while asked.outcome is None and call.interruption is None:  # (1), (2)
                if not nested.wait_until_ended(end):
                    break
            return self._outcome(call, asked, name)
        finally:
            self._leave(msgid, asked)
            call.forget(nested.end_wait)
            self._nesting.end(call, nested)  # type: ignore[arg-type]

    async def acall_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        end = _end(call, timeout_s)
        asked = Asked(lambda: loop.call_soon_threadsafe(came.set))
        msgid = self._ask(call, asked, name, params, end, None, waits=False)
        try:
            # whoever interrupts the call cancels its task
            async with asyncio.timeout(None if end is None else max(0.0, end - time.monotonic())):
                await came.wait()
        except TimeoutError:
            pass
        finally:
            self._leave(msgid, asked)
        return self._outcome(call, asked, name)

    def stream_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Iterator[Any]:
        return self._iterate(call, name, params, _end(call, timeout_s))

    def list_tools(self, call: RunningCall) -> dict[str, dict[str, Any]]:
        tools = self.call_tool(call, "$/tools", [])
        return {str(tool["name"]): tool for tool in tools}

    def send(self, call: RunningCall, name: str, message: Any) -> None:
        try:
            data = self._own.encoder.notification("$/send", [name, message])
        except EncodeError as error:
            raise InvalidParams(f"the message to {name}: {error}", started=False) from None
        self._writer.send(data)
        self._writer.nudge()

    # -- parts ------------------------------------------------------------------------------

    def _ask_within(
        self,
        call: RunningCall,
        nested: Any,  # of NestedCalls, which is loaded with the first
        asked: Asked,
        name: str,
        params: list[Any] | dict[str, Any],
        end: float | None,
        stream: dict[str, int] | None,
    ) -> int:
        """Send a request whose answer this thread waits for in ``nested``. Returns its id."""
        try:
            msgid = self._ask(call, asked, name, params, end, stream, waits=True)
        except BaseException:
            # nobody will wait there: what the tool asks for next would leave its nested calls with it
            self._nesting.end(call, nested)  # type: ignore[arg-type]
            raise
        call.on_interrupt(nested.end_wait)
        return msgid

    def _ask(
        self,
        call: RunningCall,
        asked: Asked,
        name: str,
        params: list[Any] | dict[str, Any],
        end: float | None,
        stream: dict[str, int] | None,
        *,
        waits: bool,
    ) -> int:
        """Send a request. ``waits``: this thread does nothing else meanwhile. Returns its id."""
        if call.interruption is not None:
            raise call.interruption.again()
        options: dict[str, Any] = {"within": call.key}
        if end is not None:
            options["timeout_ms"] = max(0.0, 1000 * (end - time.monotonic()))
        if call.session is not None:
            options["session"] = call.session
        if call.metadata:
            options["metadata"] = dict(call.metadata)
        if stream is not None:
            options["stream"] = stream
        try:
            msgid, data = self._requester.request(self._own.encoder, name, params, options)
        except EncodeError as error:
            raise InvalidParams(f"{name}: {error}", started=False) from None
        self._asked[msgid] = asked
        self._writer.send(data)
        if waits:
            self._writer.flush()  # here, as there is nothing else to do: another thread costs its wake-up
        else:
            self._writer.nudge()
        return msgid

    def _leave(self, msgid: int, asked: Asked) -> None:
        """Cancel the request, if it has no answer."""
        if self._asked.pop(msgid, None) is None:
            return
        cancel = self._requester.cancel(self._own.encoder, msgid)
        if cancel is not None:
            self._writer.send(cancel)
            self._writer.nudge()

    def _outcome(self, call: RunningCall, asked: Asked, name: str) -> Any:
        outcome = asked.outcome
        if outcome is None:
            if call.interruption is not None:
                raise call.interruption.again()
            raise DeadlineExceeded(f"Elixir's {name} did not answer in time")
        if outcome.error is not None:
            raise _elixir_error(name, outcome.error)
        return outcome.result

    def _iterate(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        end: float | None,
    ) -> Iterator[Any]:
        _refuse_on_loop("stream_elixir", "asyncio.to_thread")
        nested = self._nesting.begin(call)  # type: ignore[arg-type]
        asked = Asked(nested.end_wait)
        credit = {"items": _ITEMS, "bytes": _BYTES}
        msgid = self._ask_within(call, nested, asked, name, params, end, credit)
        taken = size = 0
        try:
            while call.interruption is None:
                if asked.items:
                    item = asked.items.popleft()
                    taken, size = taken + 1, size + item.size
                    if 2 * taken >= _ITEMS or 2 * size >= _BYTES:
                        self._grant(msgid, taken, size)
                        taken = size = 0
                    yield item.item
                elif asked.outcome is not None or not nested.wait_until_ended(end):
                    break
            self._outcome(call, asked, name)
        finally:
            self._leave(msgid, asked)
            call.forget(nested.end_wait)
            self._nesting.end(call, nested)  # type: ignore[arg-type]

    def _grant(self, msgid: int, items: int, size: int) -> None:
        credit = self._requester.grant(self._own.encoder, msgid, items, size)
        if credit is not None:
            self._writer.send(credit)
            self._writer.nudge()


def _end(call: RunningCall, timeout_s: float | None) -> float | None:
    """When to give up: the earlier of the call's deadline and the own time limit."""
    if timeout_s is None:
        return call.deadline
    end = time.monotonic() + timeout_s
    return end if call.deadline is None else min(end, call.deadline)


def _refuse_on_loop(method: str, instead: str) -> None:
    """Raise where it would hold up every async tool."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise CallError(
            f"{method} would hold up all async tools while it waits: {instead}",
            code="failed_precondition",
            started=False,
        )


def _elixir_error(name: str, error: CallError) -> ElixirError:
    return ElixirError(
        f"Elixir's {name}: {error.message}",
        code=error.code,
        type=error.type,
        traceback=error.traceback,
        details=error.details,
    )
