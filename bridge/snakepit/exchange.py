"""Calls that come from Snakepit: what their requests ask for, and what is answered."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.message import DecodeError

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import InvalidParams, RemoteProtocolError
from ..transports.grpc.exchange import Responses
from .graceful import Graceful
from .items import is_chunk, is_final
from .messages import get_value, set_json
from .version import BYTES, CHUNKS, STRUCTURED, Version
from .zero_copy import make_reference

#: Metadata that tells how a binary parameter is to be read.
_FORMAT = "binary_format:"


class ToolResponses(Responses):
    """Those of ``ExecuteTool``.

    Args:
        version: that of Snakepit.
        graceful: makes JSON of a result.
    """

    def __init__(self, version: Version, graceful: Graceful) -> None:
        self._bytes_apart = version >= BYTES
        self._graceful = graceful
        self._began = time.monotonic()

    def encode_result(self, value: Any) -> bytes:
        response = pb.ExecuteToolResponse(success=True)
        if self._bytes_apart and isinstance(value, bytes | bytearray | memoryview):
            response.binary_result = bytes(value)
            # where there are none, Elixir looks at the result: an empty text is the same to it
            value = None if response.binary_result else ""
        set_json(response.result, self._graceful.encode_result(value, "result"))
        response.execution_time_ms = round(1000 * (time.monotonic() - self._began))
        message: bytes = response.SerializeToString()
        return message


class ChunkResponses(Responses):
    """Those of ``ExecuteStreamingTool``, numbered.

    Args:
        tool: the name that the request has for the tool.
        streams: whether the tool streams: what it returns at the end has no place then. What any
            other tool returns is an item.
        version: that of Snakepit.
        graceful: makes JSON of an item.
        raw_text: whether an item that is text is sent as it is, as by Snakepit's own worker, so
            that it may be JSON already; or else as JSON.
    """

    def __init__(
        self, tool: str, streams: bool, version: Version, graceful: Graceful, raw_text: bool
    ) -> None:
        self._tool = tool
        self._streams = streams
        self._own_forms = version >= CHUNKS
        self._graceful = graceful
        self._raw_text = raw_text and self._own_forms
        self._count = 0
        self._ended = False

    def encode_result(self, value: Any) -> bytes:
        """Empty if there is nothing to be sent."""
        return b"" if value is None or self._streams else self._encode(value, "result")

    def encode_item(self, value: Any) -> bytes:
        return self._encode(value, "item")

    def encode_end(self) -> bytes | None:
        """The last chunk, which has no data; None if an item was the last one."""
        if self._ended:
            return None
        chunk = self._next_chunk()
        chunk.is_final = True
        message: bytes = chunk.SerializeToString()
        return message

    def _encode(self, value: Any, name: str) -> bytes:
        chunk = self._next_chunk()
        if is_chunk(value):
            metadata = getattr(value, "metadata", None)
            if isinstance(metadata, dict):
                chunk.metadata.update({str(key): str(item) for key, item in metadata.items()})
            # earlier versions do not look at the data of the last chunk
            chunk.is_final = self._ended = self._own_forms and is_final(value)
            value = value.data
        chunk.data = self._data(value, name)
        message: bytes = chunk.SerializeToString()
        return message

    def _data(self, value: Any, name: str) -> bytes:
        if self._own_forms and isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if self._raw_text and value is None:
            return b""
        if self._raw_text and isinstance(value, str):
            return value.encode()
        return self._graceful.encode(value, name)

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


def read_arguments(
    request: pb.ExecuteToolRequest, version: Version, max_items: int
) -> dict[str, Any]:
    """The arguments by name, as Snakepit's worker of that version has them.

    Args:
        request: which has them.
        version: that of Snakepit.
        max_items: so many lists and maps may be in each.

    Raises:
        CallError: one cannot be read; its name is in the message.
    """
    try:
        arguments = {
            name: get_value(value, f"the parameter {name!r}", max_items)
            for name, value in request.parameters.items()
        }
        if version >= STRUCTURED:
            arguments = {name: make_reference(value) for name, value in arguments.items()}
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
