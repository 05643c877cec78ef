"""The service ``snakepit.bridge.BridgeService``: a worker as Snakepit's Elixir side knows it.

The messages are those of ``protos/snakepit_bridge.proto``. Whatever becomes of a tool, the status
is OK: Elixir gives a worker up that answers with any other. Everything but tools is answered
aside, because a worker whose heartbeat does not come back is killed.
"""

from __future__ import annotations

import threading

import grpc

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import CallError
from ..transports.grpc.rpc import mark
from ..transports.grpc.sender import Sender
from ..transports.grpc.status import CODES
from .exchange import StreamExchange, ToolExchange
from .messages import describe_error, describe_error_as_text, describe_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..transports.grpc.server import GrpcTransport
    from .elixir import SnakepitElixir

#: Sessions that are remembered; nothing but GetSession depends on it.
_MAX_SESSIONS = 1024
#: The error of a stream travels in a header, and clients refuse headers beyond some KiB.
_MAX_STATUS_BYTES = 4096


class SnakepitService:
    """Serves the tools of the process to Elixir.

    ``structured``: errors are JSON objects, and results may be bytes; earlier versions of Snakepit
    take errors as text, and have no room for bytes. ``elixir``: the way back, None: there is none.
    """

    name: str = pb.DESCRIPTOR.services_by_name["BridgeService"].full_name

    def __init__(self, *, structured: bool, elixir: SnakepitElixir | None = None) -> None:
        self._structured = structured
        self._transport: GrpcTransport
        self.elixir = elixir
        self._sessions = _Sessions()

    def add_to(self, server: Any, transport: GrpcTransport) -> None:
        """Register the methods with a ``grpc.Server``."""
        self._transport = transport
        if self.elixir is not None:
            self.elixir.tools = [
                pb.ToolRegistration(**describe_tool(tool)) for tool in self._tools()
            ]
        aside: dict[str, tuple[Callable[..., Any], Any]] = {
            "Ping": (self._ping, pb.PingRequest),
            "Heartbeat": (self._heartbeat, pb.HeartbeatRequest),
            "InitializeSession": (self._initialize_session, pb.InitializeSessionRequest),
            "CleanupSession": (self._cleanup_session, pb.CleanupSessionRequest),
            "GetSession": (self._get_session, pb.GetSessionRequest),
        }
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                transport.aside(behavior),
                request_deserializer=request.FromString,
                response_serializer=_serialize,
            )
            for method, (behavior, request) in aside.items()
        }
        # requests and responses are bytes, so that what cannot be decoded is answered here
        handlers["ExecuteTool"] = grpc.unary_unary_rpc_method_handler(self._execute_tool)
        handlers["ExecuteStreamingTool"] = grpc.unary_stream_rpc_method_handler(
            # it sends its responses itself
            mark(self._execute_streaming_tool, experimental_non_blocking=True)
        )
        server.add_registered_method_handlers(self.name, handlers)

    # -- tools ------------------------------------------------------------------------------

    def _execute_tool(self, data: bytes, context: Any) -> bytes:
        exchange = ToolExchange(self._transport, context, bytes_apart=self._structured)
        try:
            return self._transport.check_size(exchange.answer(data))
        except CallError as error:
            message = self._describe(error, exchange)
            return _serialize(pb.ExecuteToolResponse(success=False, error_message=message))

    def _execute_streaming_tool(
        self, data: bytes, context: Any, send: Callable[[bytes | None], None]
    ) -> None:
        sender = Sender(self._transport, send)
        exchange = StreamExchange(self._transport, context, sender=sender)
        try:
            last = exchange.answer(data)
            if last:
                sender.send(last)
            sender.send(exchange.final_chunk())
            sender.end()
        except CallError as error:
            message = self._describe(error, exchange, _MAX_STATUS_BYTES)
            context.abort(CODES[error.code], message)

    def _describe(
        self, error: CallError, exchange: ToolExchange, max_bytes: int | None = None
    ) -> str:
        if self._structured:
            return describe_error(error, exchange.request, max_bytes)
        return describe_error_as_text(error, max_bytes)

    # -- aside ------------------------------------------------------------------------------

    def _ping(self, request: pb.PingRequest, context: Any) -> pb.PingResponse:
        response = pb.PingResponse(message=f"pong: {request.message}")
        response.server_time.GetCurrentTime()
        return response

    def _heartbeat(self, request: pb.HeartbeatRequest, context: Any) -> pb.HeartbeatResponse:
        # valid whatever the session: a worker that says no is killed
        response = pb.HeartbeatResponse(session_valid=True)
        response.server_time.GetCurrentTime()
        return response

    def _initialize_session(
        self, request: pb.InitializeSessionRequest, context: Any
    ) -> pb.InitializeSessionResponse:
        self._sessions.add(request)
        response = pb.InitializeSessionResponse(success=True)
        for tool in self._tools():
            response.available_tools[tool["name"]].CopyFrom(pb.ToolSpec(**describe_tool(tool)))
        return response

    def _cleanup_session(
        self, request: pb.CleanupSessionRequest, context: Any
    ) -> pb.CleanupSessionResponse:
        known = self._sessions.remove(request.session_id)
        return pb.CleanupSessionResponse(success=True, resources_cleaned=int(known))

    def _get_session(self, request: pb.GetSessionRequest, context: Any) -> pb.GetSessionResponse:
        session = self._sessions.get(request.session_id)
        if session is None:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"no session {request.session_id!r} began here"
            )
        response = pb.GetSessionResponse(tool_count=sum(1 for _ in self._tools()))
        response.MergeFrom(session)
        return response

    def _tools(self) -> Iterator[dict[str, Any]]:
        tools = self._transport.dispatcher.describe_tools()
        return (tool for tool in tools if not tool["name"].startswith("$/"))


class _Sessions:
    """The sessions that Elixir has begun, the latest ones. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, pb.GetSessionResponse] = {}

    def add(self, request: pb.InitializeSessionRequest) -> None:
        session = pb.GetSessionResponse(session_id=request.session_id, metadata=request.metadata)
        session.created_at.GetCurrentTime()
        with self._lock:
            while len(self._sessions) >= _MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions.setdefault(request.session_id, session)

    def get(self, session_id: str) -> pb.GetSessionResponse | None:
        with self._lock:
            return self._sessions.get(session_id)

    def remove(self, session_id: str) -> bool:
        with self._lock:
            return self._sessions.pop(session_id, None) is not None


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
