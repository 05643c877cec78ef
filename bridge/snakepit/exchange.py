"""Calls that come from Snakepit: what their requests ask for, and what is answered."""

from __future__ import annotations

import time

from google.protobuf.message import DecodeError

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import InvalidParams, RemoteProtocolError
from ..transports.grpc.exchange import Exchange
from ..wire.json_text import encode_json
from ..wire.messages import CallOptions
from .messages import get_value, set_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..transports.grpc.sender import Sender
    from ..transports.grpc.server import GrpcTransport

#: The tools of an adapter that takes calls by any name: one for each kind of request.
ANY_NAME, ANY_NAME_STREAMING = "$/ExecuteTool", "$/ExecuteStreamingTool"
#: Metadata that tells how a binary parameter is to be read.
_FORMAT = "binary_format:"


class ToolExchange(Exchange):
    """An ``ExecuteTool``. ``bytes_apart``: has the response a place for a result that is bytes?"""

    _any_name = ANY_NAME

    def __init__(
        self,
        transport: GrpcTransport,
        context: Any,
        *,
        sender: Sender | None = None,
        bytes_apart: bool = False,
    ) -> None:
        super().__init__(transport, context, sender)
        #: Empty until it is decoded.
        self.request = pb.ExecuteToolRequest()
        self._bytes_apart = bytes_apart

    def answer(self, data: bytes) -> Any:
        """The message of the result, empty if there is none. Raises ``CallError``."""
        try:
            self.request = request = pb.ExecuteToolRequest.FromString(data)
        except DecodeError as error:
            raise InvalidParams(f"this is no ExecuteToolRequest: {error}", started=False) from None
        tool, arguments = request.tool_name, _arguments(request)
        session = request.session_id or None
        if self._any_name in self._transport.dispatcher.tools:
            return self.serve(self._any_name, [tool, arguments], session)
        return self.serve(tool, arguments, session)

    def _options(self, session: str | None) -> CallOptions:
        options = super()._options(session)
        metadata = {**(options.metadata or {}), **self.request.metadata}
        return CallOptions(options.timeout_s, session, metadata, options.credit)

    def encode(self, value: Any, name: str) -> Any:
        response = pb.ExecuteToolResponse(success=True)
        if self._bytes_apart and isinstance(value, bytes | bytearray | memoryview):
            response.binary_result = bytes(value)
            # where there are none, Elixir looks at the result: an empty text is the same to it
            set_value(response.result, None if response.binary_result else "", name)
        else:
            set_value(response.result, value, name)
        response.execution_time_ms = round(1000 * (time.monotonic() - self._rpc.began))
        return response.SerializeToString()


class StreamExchange(ToolExchange):
    """An ``ExecuteStreamingTool``."""

    _any_name = ANY_NAME_STREAMING
    _chunks = 0

    def encode(self, value: Any, name: str) -> Any:
        if name == "result":
            # what a generator returns has no place here; what any other tool returns is an item
            tool = self._transport.dispatcher.tools.get(self.request.tool_name)
            if value is None or tool is None or tool.streaming:
                return b""
        chunk = self._chunk()
        if hasattr(value, "is_final") and hasattr(value, "data"):
            # one of Snakepit's own chunks, whose end is not the end here
            metadata = getattr(value, "metadata", None) or {}
            chunk.metadata.update({str(key): str(item) for key, item in metadata.items()})
            value = value.data
        chunk.data = encode_json(value, name)
        return chunk.SerializeToString()

    def final_chunk(self) -> Any:
        """The last chunk, which has no data."""
        chunk = self._chunk()
        chunk.is_final = True
        return chunk.SerializeToString()

    def _chunk(self) -> pb.ToolChunk:
        self._chunks += 1
        return pb.ToolChunk(chunk_id=f"{self.request.tool_name}-{self._chunks}")


def _arguments(request: pb.ExecuteToolRequest) -> dict[str, Any]:
    """The arguments by name. Raises ``InvalidParams`` naming the one that cannot be read."""
    try:
        arguments = {
            name: get_value(value, f"the parameter {name!r}")
            for name, value in request.parameters.items()
        }
    except RemoteProtocolError as error:
        raise InvalidParams(str(error), started=False) from None
    for name, data in request.binary_parameters.items():
        if request.metadata.get(_FORMAT + name) == "pickle":
            raise InvalidParams(
                f"the binary parameter {name!r} is pickled, and to unpickle is to run what was "
                "sent: send it as JSON, or as bytes that the tool reads itself",
                started=False,
            )
        arguments[name] = data
    return arguments
