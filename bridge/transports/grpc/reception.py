"""The message of one request, received without a thread that waits for it.

``grpc.server`` has whatever handles a request wait for its message, and a client need never send it.
So this file, and no other, knows what the server hands to its pool: a function, and as the arguments of
that the event of the request, its state, the behavior, and what returns the message. Releases from 1.72
to 1.85 are alike in that; with one that is not, threads wait as gRPC has them wait: these are private
names, and a server must start and serve without them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import grpc

from .status import CallStatus

_common: Any
_server: Any
cygrpc: Any
try:
    _common, _server, cygrpc = map(
        import_module, ("grpc._common", "grpc._server", "grpc._cython.cygrpc")
    )
except ImportError:
    _common = _server = cygrpc = None

#: Places among the arguments: the event, the state, the behavior, what returns the message.
_EVENT, _STATE, _BEHAVIOR, _MESSAGE, _DESERIALIZE = 1, 2, 3, 4, 5
_UNARY = "unary_request"
#: What is used of the server's module, and how many arguments functions take there.
_NAMES = {"_RPCState": None, "_EMPTY_FLAGS": None, "_RECEIVE_MESSAGE_TOKEN": None,
          "_receive_message": 3, "_is_rpc_state_active": 1, "_abort": 4}  # fmt: skip
_OF_STATE = ("condition", "due", "request", "code", "details", "trailing_metadata")


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
        if len(args) <= _DESERIALIZE or not _is_known(_server, cygrpc):
            return None
        state = args[_STATE]
        known = isinstance(state, _server._RPCState) and hasattr(args[_EVENT], "call")
        return (
            Reception(args) if known and all(hasattr(state, name) for name in _OF_STATE) else None
        )

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

    @property
    def size_bytes(self) -> int:
        """The size of the message that has come; 0: there is none, or it is not known."""
        message = self._state.request
        return len(message) if type(message) is bytes else 0

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


def _is_known(server: Any, core: Any) -> bool:
    """Whether these modules of gRPC have what is used here, as far as can be seen."""
    if not hasattr(core, "ReceiveMessageOperation") or not hasattr(_common, "decode"):
        return False
    for name, arguments in _NAMES.items():
        thing = getattr(server, name, _NAMES)
        code = getattr(thing, "__code__", None)
        if thing is _NAMES or (
            arguments is not None and getattr(code, "co_argcount", 0) != arguments
        ):
            return False
    return True
