"""The service ``snakepit.bridge.BridgeService``: a worker as Snakepit's Elixir side knows it.

The messages are those of ``protos/snakepit_bridge.proto``. Whatever becomes of a tool, the status
is OK: Elixir gives a worker up that answers with any other. Everything but tools is answered
aside, because a worker whose heartbeat does not come back is killed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import CallError
from ..transports.grpc.behavior import mark
from ..transports.grpc.caller import ToolCaller
from ..transports.grpc.exchange import Responses
from ..transports.grpc.sender import Sender
from ..transports.grpc.service import Service
from ..transports.grpc.status import CODES
from .adapter import EXECUTE, EXECUTE_STREAMING
from .exchange import ChunkResponses, ToolResponses, read_arguments, read_request
from .graceful import Graceful
from .messages import describe_error, describe_error_as_text, describe_tools
from .telemetry import CallEvents, Telemetry
from .version import NAMED_TUPLES, STRUCTURED, Version

#: Sessions that are remembered; nothing but GetSession depends on it.
_MAX_SESSIONS = 1024
#: The error of a stream travels in a header, and clients refuse headers beyond some KiB.
_MAX_STATUS_BYTES = 4096


class SnakepitService(Service):
    """Serves the tools of the process to Elixir.

    Args:
        caller: calls and describes the tools.
        version: that of Snakepit.
        telemetry: where events of calls go.
    """

    name: str = pb.DESCRIPTOR.services_by_name["BridgeService"].full_name

    def __init__(self, caller: ToolCaller, version: Version, telemetry: Telemetry) -> None:
        self._caller = caller
        self._version = version
        self._telemetry = telemetry
        self._sessions = _Sessions()
        self._json = Graceful(
            os.environ,
            self._note_marker,
            named_tuples=version >= NAMED_TUPLES,
            own=caller.forms.own if caller.forms.encoders else None,
        )

    def close(self) -> None:
        self._telemetry.close()

    def handlers(self) -> Mapping[str, Any]:
        aside: dict[str, tuple[Callable[..., Any], Any]] = {
            "Ping": (self._ping, pb.PingRequest),
            "Heartbeat": (self._heartbeat, pb.HeartbeatRequest),
            "InitializeSession": (self._initialize_session, pb.InitializeSessionRequest),
            "CleanupSession": (self._cleanup_session, pb.CleanupSessionRequest),
            "GetSession": (self._get_session, pb.GetSessionRequest),
        }
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                self._caller.aside(behavior),
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
        handlers["StreamTelemetry"] = grpc.stream_stream_rpc_method_handler(
            self._caller.lasting(self._telemetry.stream),
            request_deserializer=pb.TelemetryControl.FromString,
            response_serializer=_serialize,
        )
        return handlers

    # -- tools ------------------------------------------------------------------------------

    def _execute_tool(self, data: bytes, context: Any) -> bytes:
        request = pb.ExecuteToolRequest()
        responses = ToolResponses(self._version, self._json)
        try:
            request = read_request(data)
            return self._call(context, request, responses, EXECUTE)
        except CallError as error:
            message = self._describe(error, request)
            return _serialize(pb.ExecuteToolResponse(success=False, error_message=message))

    def _execute_streaming_tool(
        self, data: bytes, context: Any, send: Callable[[bytes | None], object]
    ) -> None:
        request, sender = pb.ExecuteToolRequest(), self._caller.open_stream(send)
        try:
            request = read_request(data)
            tools = self._caller.tools
            tool = tools.get(request.tool_name)
            streams = tool is None or tool.streaming or EXECUTE_STREAMING in tools
            responses = ChunkResponses(
                request.tool_name, streams, self._version, self._json, EXECUTE_STREAMING in tools
            )
            last = self._call(context, request, responses, EXECUTE_STREAMING, sender)
            if last:
                sender.send(last)
            sender.end(responses.encode_end())
        except CallError as error:
            message = self._describe(error, request, _MAX_STATUS_BYTES)
            context.abort(CODES[error.code], message)

    def _call(
        self,
        context: Any,
        request: pb.ExecuteToolRequest,
        responses: Responses,
        any_name: str,
        sender: Sender | None = None,
    ) -> bytes:
        """Call a tool, by its name or, if the adapter takes any name, through ``any_name``."""
        tool = request.tool_name
        params = read_arguments(request, self._version, self._caller.max_message_items)
        takes_any_name = any_name in self._caller.tools
        with CallEvents(self._telemetry, tool, request.metadata.get("correlation_id")):
            return self._caller.call(
                context,
                responses,
                any_name if takes_any_name else tool,
                [tool, params] if takes_any_name else params,
                session=request.session_id or None,
                metadata=dict(request.metadata),
                headers=False,
                sender=sender,
            )

    def _note_marker(self, kind: str) -> None:
        self._telemetry.emit(
            "snakepit.serialization.unserializable_marker", {"first_seen": 1}, {"type": kind}
        )

    def _describe(
        self, error: CallError, request: pb.ExecuteToolRequest, max_bytes: int | None = None
    ) -> str:
        if self._version >= STRUCTURED:
            return describe_error(error, request, max_bytes)
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
        for tool in describe_tools(self._caller.tools):
            response.available_tools[tool["name"]].CopyFrom(pb.ToolSpec(**tool))
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
        assert session is not None  # abort() raises
        response = pb.GetSessionResponse(tool_count=len(describe_tools(self._caller.tools)))
        response.MergeFrom(session)
        return response


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
