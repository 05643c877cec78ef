"""A request that calls a tool: from the request to the call, and from the outcome to the response.

The numbers stand for the interleavings in ``executor.py``.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ...calls import CallView, Dispatcher, Peer, Sink
from ...errors import CallError
from ...wire import CallOptions, Request
from .executor import GrpcExecutor
from .rpc import shutting_down
from .sender import Sender, check_size

#: What the caller's deadline may be off, seen from our clock: clients round it up on its way.
_SLACK_S, _SLACK_SHARE = 0.01, 0.012
#: gRPC shows an endless time as a very long one.
_ENDLESS_S = 1e9
#: Metadata that tools are not shown.
_HIDDEN = frozenset(["authorization", "user-agent"])


class Responses(ABC):
    """The messages that answer one request: what a service implements for a method of its own.

    Each method returns a message as bytes, and runs on the thread whose value it encodes: most
    often the tool's.
    """

    @abstractmethod
    def encode_result(self, value: Any) -> bytes:
        """The message of what the tool returned.

        Raises:
            EncodeError: the value has no form in it.
        """

    def encode_item(self, value: Any) -> bytes:
        """The message of an item of a stream; only a method with a sender needs it.

        Raises:
            EncodeError: the value has no form in it.
        """
        raise NotImplementedError

    def encode_progress(self, done: float, total: float | None, text: str | None) -> bytes | None:
        """The message of a tool's progress; None: there is none. Never raises."""
        return None

    def encode_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any]
    ) -> bytes | None:
        """The message of a log line; None: there is none. Never raises."""
        return None


class Exchange(Peer, Sink):
    """The call that one request asks for, its peer, and where its items go.

    It is made, and waits, on the thread that handles the request; any thread may answer.

    Args:
        dispatcher: what calls the tool.
        executor: what the thread is handling the request for.
        context: gRPC's ``ServicerContext`` of the request.
        responses: makes the messages that answer it.
        max_bytes: the size of the largest message that may answer it.
        sender: where items and notes go; None: the method has no room for them.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        executor: GrpcExecutor,
        context: Any,
        responses: Responses,
        max_bytes: int,
        sender: Sender | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._executor = executor
        self._rpc = executor.current()
        self._context = context
        self._responses = responses
        self._max_bytes = max_bytes
        self._sender = sender
        self._result = b""
        self._error: CallError | None = None
        #: Released once, by whoever answers.
        self._unanswered = threading.Lock()
        self._unanswered.acquire()

    def serve(
        self,
        tool: str,
        params: list[Any] | dict[str, Any],
        session: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: bool = True,
    ) -> bytes:
        """Call a tool and wait for its answer. Once, on the thread that handles the request.

        Args:
            tool: its name.
            params: its arguments, by position or by name.
            session: what the tool sees as its session.
            metadata: what the tool sees as its metadata.
            headers: whether it sees the metadata of gRPC beside that.

        Returns:
            The message of its result.

        Raises:
            CallError: the call has failed, or was not made.
        """
        rpc, dispatcher = self._rpc, self._dispatcher
        if rpc.refusal is not None:
            raise rpc.refusal.again()
        receiver, worker = None, rpc.take_worker()
        if self._executor.receives_only:
            receiver, worker = worker, None
        request = Request(rpc.key, tool, params, self._options(session, metadata, headers))
        call = dispatcher.admit(request, self, rpc.arrived)
        if call is not None:
            if not self._context.add_callback(self._end):
                self._end()  # 6
            if self._executor.stopped:  # 8
                dispatcher.fail(rpc.key, shutting_down())
            relieve = dispatcher.pool.relieve
            dispatcher.run_here(
                call, worker, time.monotonic(), lambda _: rpc.relieve_worker(relieve)
            )
            if receiver is not None and call.on_loop:
                # one that waits for the worker holds its receiver: there is a queue before them
                rpc.relieve_worker(self._executor.relieve)
        self._unanswered.acquire()  # 7
        error, self._error = self._error, None
        result, self._result = self._result, b""
        if error is None:
            return result
        try:
            raise error.again()  # itself may be kept by the tool, and this frame with it
        finally:
            del error  # its traceback leads to this frame, be it as that of a caller

    def _options(
        self, session: str | None, metadata: Mapping[str, str] | None, headers: bool
    ) -> CallOptions:
        timeout_s: float | None = self._context.time_remaining()
        if timeout_s is not None:
            # the dispatcher counts from the request's arrival
            waited = time.monotonic() - self._rpc.arrived
            timeout_s = timeout_s + waited if timeout_s < _ENDLESS_S else None
        shown = {
            key: value
            for key, value in (self._context.invocation_metadata() if headers else ())
            if key not in _HIDDEN and type(value) is str and not key.startswith("grpc-")
        }
        if metadata:
            shown.update(metadata)
        return CallOptions(timeout_s, session, shown, None if self._sender is None else (0, 0))

    def _end(self) -> None:
        """gRPC has ended the request: it was answered, or the client does not wait any more."""
        dispatcher, key = self._dispatcher, self._rpc.key
        call = dispatcher.calls.get(key)
        if call is None:
            return
        end = dispatcher.cancel
        if call.deadline is not None:
            slack = max(_SLACK_S, _SLACK_SHARE * (call.deadline - call.arrived))
            if call.deadline - time.monotonic() < slack:
                end = dispatcher.expire
        if end(key):
            self._rpc.replace_worker(dispatcher.pool.replacements.replace)  # 9

    # -- the call's peer; any thread --------------------------------------------------------

    def prepare_result(self, key: int, result: Any) -> Any:
        # an answer that is too large is an error of the call, as one that has no form
        return check_size(self._responses.encode_result(result), self._max_bytes)

    def send_result(self, key: int, result: Any) -> None:
        self._result = result
        self._unanswered.release()

    def send_error(self, key: int, error: CallError) -> None:
        self._error = error
        self._unanswered.release()

    def open_stream(self, call: CallView) -> Exchange:
        return self

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        if self._sender is not None:
            self._sender.note(self._responses.encode_progress(done, total, text))

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        if self._sender is not None:
            self._sender.note(self._responses.encode_log(level, logger, text, fields))

    # -- the stream's sink; the tool's thread -----------------------------------------------

    def wait(self) -> None:
        """gRPC takes an item and then makes its sender wait."""

    def send(self, item: Any) -> None:
        assert self._sender is not None  # without one there is no credit, and no stream
        self._sender.send(self._responses.encode_item(item))
