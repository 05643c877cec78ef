"""Requests to the bridge itself, answered on the reader however busy the workers are."""

from __future__ import annotations

from functools import partial

from ...errors import CallError, EncodeError, InvalidParams, Unimplemented, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import Dispatcher
    from ...wire import Request
    from .memory import StdioMemory
    from .peer import StdioPeer


class BridgeRequests:
    """Answers the requests whose method begins with ``$/``. The reader calls it.

    Args:
        dispatcher: what they ask about.
        peer: who asks.
        memory: where it gets places for its messages; None: nowhere.
        shutdown: called when it asks the bridge to end.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        peer: StdioPeer,
        shutdown: Callable[[], object],
        memory: StdioMemory | None = None,
    ) -> None:
        self._memory = memory
        self._dispatcher = dispatcher
        self._peer = peer
        self._shutdown = shutdown
        self._methods: dict[str, Callable[[Request], Any]] = {
            "$/ping": self._ping,
            "$/tools": lambda request: dispatcher.describe_tools(),
            "$/stats": lambda request: {**dispatcher.stats(), "dropped": peer.dropped},
            "$/health": lambda request: dispatcher.health(),
            "$/stacks": lambda request: dispatcher.stacks(),
            "$/shutdown": lambda request: None,
        }

    def serve(self, request: Request) -> None:
        """Answer a request."""
        peer, method = self._peer, request.method
        try:
            answer = self._methods.get(method)
            if method == "$/reserve" and self._memory is not None:
                self._memory.reserve(request, partial(self._answer_later, request.msgid))
                return
            if answer is None:
                known = ", ".join(self._methods)
                raise Unimplemented(
                    f"there is no {shorten(method)}; there are {known}", started=False
                )
            peer.answer(request.msgid, answer(request))
        except EncodeError as error:
            peer.send_error(request.msgid, CallError(str(error), started=False))
        except CallError as error:
            peer.send_error(request.msgid, error)
        if method == "$/shutdown":
            peer.flush()
            self._shutdown()

    def _answer_later(self, msgid: int, result: Any) -> None:
        self._peer.answer(msgid, result)
        self._peer.flush()

    def _ping(self, request: Request) -> Any:
        params = request.params
        if isinstance(params, dict) or len(params) > 1:
            raise InvalidParams("$/ping takes [] or [value]")
        return params[0] if params else None
