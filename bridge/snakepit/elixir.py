"""The way back: tools of the Elixir program, for tools that Snakepit called.

Elixir serves the same service as its workers do, on the address that it gave them. Nothing is
connected, and nothing is sent, before a tool asks for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import grpc

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import CallError, EncodeError, InvalidParams, RemoteProtocolError
from ..running_call import Elixir, RunningCall
from ..tool import Tool
from .messages import describe_tools, get_value, set_value

_SERVICE = pb.DESCRIPTOR.services_by_name["BridgeService"].full_name
_CORRELATION = "x-snakepit-correlation-id"
#: The session of calls that name none; so Snakepit calls it as well.
_DEFAULT_SESSION = "default_session"
#: Elixir forgets sessions that nobody uses, after an hour unless it was told otherwise.
_FRESH_S = 60.0
_MAX_SESSIONS = 1024


class SnakepitElixir(Elixir):
    """A client of the Elixir program. Any thread may use it.

    Args:
        address: where it serves, ``HOST:PORT``.
        max_message_bytes: the size of the largest message, in both directions.
        tools: those that it may call, which it is told with every session.
    """

    def __init__(self, address: str, max_message_bytes: int, tools: Mapping[str, Tool]) -> None:
        self._address = address
        self._tools = [pb.ToolRegistration(**tool) for tool in describe_tools(tools)]
        self._max_message_bytes = max_message_bytes
        self._lock = threading.Lock()
        self._channel: Any = None
        #: When sessions were last made known to Elixir.
        self._introduced: dict[str, float] = {}

    def call_tool(
        self,
        call: RunningCall,
        name: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None = None,
    ) -> Any:
        """Call a tool of Elixir and wait, in the session and the time of ``call``.

        Raises:
            CallError: what Elixir says of it, or that it does not answer.
            InvalidParams: JSON cannot say one of the parameters.
        """
        if not isinstance(params, dict):
            if params:
                raise InvalidParams(f"{name}: Snakepit's tools take their arguments by name")
            params = {}
        session = self._introduce(call)
        request = pb.ExecuteElixirToolRequest(session_id=session, tool_name=name)
        for key, value in params.items():
            try:
                set_value(request.parameters[key], value, key)
            except EncodeError as error:
                raise InvalidParams(f"{name}: {error}") from None
        response = self._ask(call, "ExecuteElixirTool", request, pb.ExecuteElixirToolResponse)
        if not response.success:
            with self._lock:
                # it may be the session that is not known any more
                self._introduced.pop(session, None)
            raise CallError(
                f"Elixir's tool {name!r} failed: {response.error_message}",
                details={"tool": name, "reason": response.error_message},
            )
        if response.binary_result:
            return response.binary_result
        try:
            return get_value(response.result, f"the result of Elixir's tool {name!r}")
        except RemoteProtocolError as error:
            raise CallError(str(error)) from None

    def list_tools(self, call: RunningCall) -> dict[str, dict[str, Any]]:
        """The tools of Elixir by name, as the session of ``call`` sees them.

        Raises:
            CallError: Elixir does not answer.
        """
        request = pb.GetExposedElixirToolsRequest(session_id=self._introduce(call))
        response = self._ask(
            call, "GetExposedElixirTools", request, pb.GetExposedElixirToolsResponse
        )
        return {tool.name: _describe(tool) for tool in response.tools}

    def _introduce(self, call: RunningCall) -> str:
        """Have Elixir know the session of a call, and the tools here. Returns its name."""
        session = call.session or _DEFAULT_SESSION
        now = time.monotonic()
        with self._lock:
            fresh = now - self._introduced.get(session, -_FRESH_S) < _FRESH_S
        if not fresh:
            request = pb.InitializeSessionRequest(session_id=session)
            self._ask(call, "InitializeSession", request, pb.InitializeSessionResponse)
            registration = pb.RegisterToolsRequest(
                session_id=session, tools=self._tools, worker_id=f"python-{os.getpid()}"
            )
            # what it answers does not matter: another worker may have told the same before
            self._ask(call, "RegisterTools", registration, pb.RegisterToolsResponse)
        with self._lock:
            if len(self._introduced) >= _MAX_SESSIONS:
                self._introduced.clear()
            self._introduced[session] = now
        return session

    def _ask(self, call: RunningCall, method: str, request: Any, response: Any) -> Any:
        """Send a request and wait for its response, as long as somebody waits for the call."""
        ask = self._connect().unary_unary(
            f"/{_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        timeout = None if call.deadline is None else max(0.0, call.deadline - time.monotonic())
        correlation = call.metadata.get("correlation_id")
        metadata = [(_CORRELATION, correlation)] if correlation else None
        rpc = ask.future(request, timeout=timeout, metadata=metadata)
        call.on_interrupt(rpc.cancel)
        try:
            return rpc.result()
        except grpc.FutureCancelledError:
            interruption = call.interruption or CallError(f"{method} was cancelled")
            raise interruption.again() from None
        except grpc.RpcError as error:
            code = error.code().name.lower()
            raise CallError(
                f"Elixir at {self._address}: {method}: {error.details() or code}", code=code
            ) from None
        finally:
            call.forget(rpc.cancel)

    def _connect(self) -> Any:
        with self._lock:
            if self._channel is None:
                size = self._max_message_bytes
                self._channel = grpc.insecure_channel(
                    self._address,
                    options=[
                        ("grpc.max_receive_message_length", size),
                        ("grpc.max_send_message_length", size),
                    ],
                )
            return self._channel


def _describe(tool: pb.ToolSpec) -> dict[str, Any]:
    parameters = [
        {
            "name": parameter.name,
            "type": parameter.type,
            "description": parameter.description,
            "required": parameter.required,
        }
        for parameter in tool.parameters
    ]
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": parameters,
        "metadata": dict(tool.metadata),
    }
