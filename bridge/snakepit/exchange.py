"""Calls that come from Snakepit: what their requests ask for, and what is answered."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.message import DecodeError

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import InvalidParams, RemoteProtocolError
from ..transports.grpc.exchange import Responses
from ..wire.json_text import encode_json
from .messages import get_value, set_value

#: Metadata that tells how a binary parameter is to be read.
_FORMAT = "binary_format:"


class ToolResponses(Responses):
    """Those of ``ExecuteTool``.

    Args:
        bytes_apart: whether the response has a place for a result that is bytes.
    """

    def __init__(self, bytes_apart: bool) -> None:
        self._bytes_apart = bytes_apart
        self._began = time.monotonic()

    def encode_result(self, value: Any) -> bytes:
        response = pb.ExecuteToolResponse(success=True)
        if self._bytes_apart and isinstance(value, bytes | bytearray | memoryview):
            response.binary_result = bytes(value)
            # where there are none, Elixir looks at the result: an empty text is the same to it
            set_value(response.result, None if response.binary_result else "", "result")
        else:
            set_value(response.result, value, "result")
        response.execution_time_ms = round(1000 * (time.monotonic() - self._began))
        message: bytes = response.SerializeToString()
        return message


class ChunkResponses(Responses):
    """Those of ``ExecuteStreamingTool``, numbered.

    Args:
        tool: the name that the request has for the tool.
        streams: whether the tool streams: what it returns at the end has no place then. What any
            other tool returns is an item.
    """

    def __init__(self, tool: str, streams: bool) -> None:
        self._tool = tool
        self._streams = streams
        self._count = 0

    def encode_result(self, value: Any) -> bytes:
        """Empty if there is nothing to be sent."""
        return b"" if value is None or self._streams else self._encode(value, "result")

    def encode_item(self, value: Any) -> bytes:
        return self._encode(value, "item")

    def encode_end(self) -> bytes:
        """The last chunk, which has no data."""
        chunk = self._next_chunk()
        chunk.is_final = True
        message: bytes = chunk.SerializeToString()
        return message

    def _encode(self, value: Any, name: str) -> bytes:
        chunk = self._next_chunk()
        if hasattr(value, "is_final") and hasattr(value, "data"):
            # one of Snakepit's own chunks, whose end is not the end here
            metadata = getattr(value, "metadata", None) or {}
            chunk.metadata.update({str(key): str(item) for key, item in metadata.items()})
            value = value.data
        chunk.data = encode_json(value, name)
        message: bytes = chunk.SerializeToString()
        return message

    def _next_chunk(self) -> pb.ToolChunk:
        self._count += 1
        return pb.ToolChunk(chunk_id=f"{self._tool}-{self._count}")


def read_request(data: bytes) -> pb.ExecuteToolRequest:
    """The message of a request.

    Raises:
        InvalidParams: the bytes are none.
    """
    try:
        request: pb.ExecuteToolRequest = pb.ExecuteToolRequest.FromString(data)
        return request
    except DecodeError as error:
        raise InvalidParams(f"this is no ExecuteToolRequest: {error}", started=False) from None


def read_arguments(request: pb.ExecuteToolRequest, max_items: int) -> dict[str, Any]:
    """The arguments by name.

    Args:
        request: which has them.
        max_items: so many lists and maps may be in each.

    Raises:
        CallError: one cannot be read; its name is in the message.
    """
    try:
        arguments = {
            name: get_value(value, f"the parameter {name!r}", max_items)
            for name, value in request.parameters.items()
        }
    except RemoteProtocolError as error:
        raise error.to_call_error() from None
    for name, data in request.binary_parameters.items():
        if request.metadata.get(_FORMAT + name) == "pickle":
            raise InvalidParams(
                f"the binary parameter {name!r} is pickled, and to unpickle is to run what was "
                "sent: send it as JSON, or as bytes that the tool reads itself",
                started=False,
            )
        arguments[name] = data
    return arguments
