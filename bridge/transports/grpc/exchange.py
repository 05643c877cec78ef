"""A request that calls a tool: from the request to the call, and from the outcome to the response."""

from __future__ import annotations

import threading
import time

from ...calls.interfaces import Peer, Sink
from ...wire.messages import CallOptions, Request
from .rpc import MOMENT_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...calls.interfaces import CallView
    from ...errors import CallError
    from ...wire.messages import Params
    from .sender import Sender
    from .server import GrpcTransport

#: What the caller's deadline may be off, seen from our clock: clients round it up on its way.
_SLACK_S, _SLACK_SHARE = 0.01, 0.012
#: Metadata that tools are not shown.
_HIDDEN = frozenset(["authorization", "user-agent"])


class Exchange(Peer, Sink):
    """The call that a request asks for, and its peer: keeps the outcome for the request's thread.

    Services derive from it and say what goes over the wire. Made by a behavior, on its thread.
    """

    _result: Any = None
    _error: CallError | None = None
    _answered: threading.Event | None = None

    def __init__(self, transport: GrpcTransport, context: Any, sender: Sender | None) -> None:
        rpc = transport.threads.rpc
        assert rpc is not None
        self._rpc = rpc
        self._transport = transport
        self._context = context
        self._sender = sender

    # -- for services -----------------------------------------------------------------------

    def encode(self, value: Any, name: str) -> Any:
        """The message of a result or item, never None. Raises ``EncodeError``. On the tool's thread."""
        raise NotImplementedError

    def encode_progress(self, done: float, total: float | None, text: str | None) -> Any:
        """The message of a tool's progress; None: it has none."""
        return None

    def encode_log(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> Any:
        """The message of a log line; None: it has none."""
        return None

    def serve(self, tool: str, params: Params, session: str | None = None) -> Any:
        """Call a tool and wait. Returns the message of its result. Raises ``CallError``.

        With a sender, the tool may stream.
        """
        rpc, context = self._rpc, self._context
        if rpc.refusal is not None:
            raise rpc.refusal
        worker = rpc.begin()
        dispatcher = self._transport.dispatcher
        request = Request(rpc.key, tool, params, self._options(session))
        call = dispatcher.admit(request, self, rpc.arrived)
        if call is not None:
            if call.serial is not None or worker is None:
                self._answered = threading.Event()
            if not context.add_callback(self._is_over):
                self._is_over()
            if not dispatcher.run_here(call, worker, rpc.began):
                assert self._answered is not None
                self._answered.wait()
        while self._error is None and self._result is None:
            time.sleep(MOMENT_S)  # another thread ends the call, and is just about to say so
        if self._error is not None:
            raise self._error
        return self._result

    def _options(self, session: str | None) -> CallOptions:
        timeout_s: float | None = self._context.time_remaining()
        if timeout_s is not None:
            # an endless one comes as a very long one; ours counts from the request's arrival
            waited = time.monotonic() - self._rpc.arrived
            timeout_s = timeout_s + waited if timeout_s < 1e9 else None
        metadata = {
            key: value
            for key, value in self._context.invocation_metadata()
            if key not in _HIDDEN and type(value) is str and not key.startswith("grpc-")
        }
        return CallOptions(timeout_s, session, metadata, None if self._sender is None else (0, 0))

    def _is_over(self) -> None:
        """gRPC has ended the request: it was answered, or the client does not wait any more."""
        dispatcher, key = self._transport.dispatcher, self._rpc.key
        call = dispatcher.calls.get(key)
        if call is None:
            return
        if call.deadline is not None:
            slack = max(_SLACK_S, _SLACK_SHARE * (call.deadline - call.arrived))
            if call.deadline - time.monotonic() < slack:
                dispatcher.expire(key)
                return
        dispatcher.cancel(key)

    # -- call.Peer --------------------------------------------------------------------------

    def send_result(self, key: int, result: Any) -> None:
        self._result = self.encode(result, "result")
        self._end()

    def send_error(self, key: int, error: CallError) -> None:
        self._error = error
        self._end()

    def _end(self) -> None:
        if self._answered is not None:
            self._answered.set()

    def open_stream(self, call: CallView) -> Exchange:
        return self

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        if self._sender is not None:
            self._sender.note(self.encode_progress(done, total, text))

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        if self._sender is not None:
            self._sender.note(self.encode_log(level, logger, text, fields))

    # -- call.Sink --------------------------------------------------------------------------

    def wait(self) -> None:
        """gRPC takes an item and then makes its sender wait."""

    def send(self, item: Any) -> None:
        assert self._sender is not None
        self._sender.send(self.encode(item, "item"))
