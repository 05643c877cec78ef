"""The message of one request, received without a thread that waits for it.

``grpc.server`` has whatever handles a request wait for its message, and a client need never send it.
So this file, and no other, knows what the server hands to its pool: a function, and as the arguments of
that the event of the request, its state, the behavior, and what returns the message. Releases from 1.72
to 1.85 are alike in that; in one that is not, threads would wait as gRPC has them wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc import _common, _server
from grpc._cython import cygrpc

from .status import CallStatus

#: Places among the arguments: the event, the state, the behavior, what returns the message.
_EVENT, _STATE, _BEHAVIOR, _MESSAGE, _DESERIALIZE = 1, 2, 3, 4, 5
_UNARY = "unary_request"


class Reception:
    """The message of a request, and the request as far as that is needed.

    Args:
        args: what the server hands to its pool, beside the function.
    """

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._args = args
        self._call = args[_EVENT].call
        self._state = args[_STATE]

    @staticmethod
    def of(args: tuple[Any, ...]) -> Reception | None:
        """The reception of a request; None: it is not known how to receive what this is."""
        known = len(args) > _DESERIALIZE and isinstance(args[_STATE], _server._RPCState)
        return Reception(args) if known else None

    @property
    def behavior(self) -> Any:
        """What answers the request."""
        return self._args[_BEHAVIOR]

    @property
    def is_unary(self) -> bool:
        """Whether there is one message to be received."""
        return getattr(self._args[_MESSAGE], "__name__", "") == _UNARY

    def peer(self) -> str:
        """The other end of the connection."""
        name: str = _common.decode(self._call.peer())
        return name

    def begin(self, came: Callable[[], object]) -> bool:
        """Receive the message. Once; any thread, does not block.

        Args:
            came: called on the serving thread when it is here, or never will be. Must not raise.

        Returns:
            False if the request is over, and nothing will come.
        """
        state = self._state
        receive = _server._receive_message(state, self._call, self._args[_DESERIALIZE])

        def received(event: Any) -> Any:
            try:
                return receive(event)
            finally:
                came()

        with state.condition:
            if not _server._is_rpc_state_active(state):
                return False
            operations = (cygrpc.ReceiveMessageOperation(_server._EMPTY_FLAGS),)
            self._call.start_server_batch(operations, received)
            state.due.add(_server._RECEIVE_MESSAGE_TOKEN)
        return True

    def arguments(self, message: Callable[[], Any]) -> tuple[Any, ...]:
        """What the server's function is called with, so that it takes the message from ``message``."""
        return (*self._args[:_MESSAGE], message, *self._args[_MESSAGE + 1 :])

    def take(self) -> Any:
        """The message that has come; None: there is none, and the request is answered."""
        state = self._state
        with state.condition:
            message, state.request = state.request, None
        if message is None:
            missing = "there is no message, but the method takes exactly one"
            self._abort(grpc.StatusCode.UNIMPLEMENTED, missing)
        return message

    def refuse(self, status: CallStatus) -> None:
        """Answer the request with an error, whatever has come of it. Any thread, does not block."""
        self._abort(status.code, status.details, status.trailing_metadata)

    def cancel(self) -> None:
        """End a request that a thread has in hand, which finds out when it waits for the client."""
        self._call.cancel()

    def _abort(self, code: Any, details: str, trailers: Any = None) -> None:
        state = self._state
        with state.condition:
            if _server._is_rpc_state_active(state):
                state.trailing_metadata = trailers
                state.code, state.details = code, _common.encode(details)
                _server._abort(state, self._call, cygrpc.StatusCode.unknown, b"")
