"""The service ``bridge.v1.Bridge``: what the messages of ``protos/bridge.proto`` mean."""

from __future__ import annotations

import grpc
from google.protobuf.message import DecodeError

from ..._generated import bridge_pb2 as pb
from ...errors import CallError, EncodeError, InvalidParams, RemoteProtocolError
from ...wire.codec import decode_value
from .exchange import Exchange
from .rpc import mark
from .sender import Sender
from .status import CallStatus
from .values import from_value, to_struct, to_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...context import Elixir
    from ...wire.messages import Params
    from .server import GrpcTransport


class BridgeService:
    """Requests and responses are bytes to gRPC, so that what cannot be decoded is answered here."""

    name = pb.DESCRIPTOR.services_by_name["Bridge"].full_name
    elixir: Elixir | None = None

    def add_to(self, server: Any, transport: GrpcTransport) -> None:
        """Register the methods with a ``grpc.Server``."""
        self._transport = transport
        aside = transport.aside
        behaviors = {
            "Call": grpc.unary_unary_rpc_method_handler(self._call),
            "CallStream": grpc.unary_stream_rpc_method_handler(
                # it sends its responses itself
                mark(self._call_stream, experimental_non_blocking=True)
            ),
            "ListTools": grpc.unary_unary_rpc_method_handler(aside(self._list_tools)),
            "GetStats": grpc.unary_unary_rpc_method_handler(aside(self._get_stats)),
        }
        server.add_registered_method_handlers(self.name, behaviors)

    def _call(self, data: bytes, context: Any) -> bytes:
        exchange = UnaryExchange(self._transport, context, None)
        try:
            return self._transport.check_size(exchange.answer(data))
        except CallError as error:
            context.abort_with_status(CallStatus(error, exchange.field))
            raise

    def _call_stream(self, data: bytes, context: Any, send: Callable[[bytes | None], None]) -> None:
        sender = Sender(self._transport, send)
        exchange = StreamExchange(self._transport, context, sender)
        try:
            sender.send(exchange.answer(data))
            sender.end()
        except CallError as error:
            context.abort_with_status(CallStatus(error, exchange.field))

    def _list_tools(self, data: bytes, context: Any) -> bytes:
        tools = [_describe_tool(tool) for tool in self._transport.dispatcher.describe_tools()]
        message: bytes = pb.ListToolsResponse(tools=tools).SerializeToString()
        return message

    def _get_stats(self, data: bytes, context: Any) -> bytes:
        stats = {**self._transport.dispatcher.stats(), "dropped": self._transport.dropped}
        message: bytes = pb.GetStatsResponse(stats=to_struct(stats, "stats")).SerializeToString()
        return message


class UnaryExchange(Exchange):
    """A ``Call``."""

    #: The part of the request that is being looked at.
    field = "params"
    _as_json = False

    def answer(self, data: bytes) -> bytes:
        """The response to a ``CallRequest``. Raises ``CallError``."""
        try:
            request = pb.CallRequest.FromString(data)
        except DecodeError as error:
            self.field = ""
            raise InvalidParams(
                f"the request is no bridge.v1.CallRequest: {error}", started=False
            ) from None
        message: bytes = self.serve(
            request.tool, self._params(request.params), request.session or None
        )
        return message

    def _params(self, payload: pb.Payload) -> Params:
        params: Any = []
        if payload.msgpack:
            self.field = "params.msgpack"
            try:
                params = decode_value(payload.msgpack)
            except RemoteProtocolError as error:
                raise error.to_call_error() from None
        elif payload.HasField("json"):
            self.field = "params.json"
            self._as_json = True
            params = from_value(payload.json)
        if type(params) is not list and type(params) is not dict:
            raise InvalidParams(
                "the parameters must be a list, by position, or a map, by name; "
                f"got {type(params).__name__}",
                started=False,
            )
        return params

    def encode(self, value: Any, name: str) -> bytes:
        message: bytes = pb.CallResponse(result=self._payload(value, name)).SerializeToString()
        return message

    def _payload(self, value: Any, name: str) -> pb.Payload:
        """The payload in the form of the request's. Raises ``EncodeError``."""
        if self._as_json:
            return pb.Payload(json=to_value(value, name))
        return pb.Payload(msgpack=self._transport.threads.encoder.value(value, name))


class StreamExchange(UnaryExchange):
    """A ``CallStream``."""

    def encode(self, value: Any, name: str) -> bytes:
        # "item" and "result" are also what the fields are called
        return _serialize(**{name: self._payload(value, name)})

    def encode_progress(self, done: float, total: float | None, text: str | None) -> bytes:
        return _serialize(progress=pb.Progress(done=done, total=total, text=_printable(text or "")))

    def encode_log(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> bytes:
        try:
            struct = to_struct(fields, "fields")
        except EncodeError as error:
            struct = to_struct({"error": str(error)}, "fields")
        record = pb.LogRecord(
            level=_printable(level),
            logger=_printable(logger),
            text=_printable(text),
            fields=struct,
        )
        return _serialize(log=record)


def _serialize(**kind: Any) -> bytes:
    message: bytes = pb.StreamResponse(**kind).SerializeToString()
    return message


def _describe_tool(tool: dict[str, Any]) -> pb.Tool:
    parameters = [
        pb.Parameter(
            name=parameter["name"],
            kind=parameter["kind"],
            annotation=parameter["annotation"] or "",
            required=parameter["required"],
            default=None if parameter["required"] else to_value(parameter["default"], "default"),
        )
        for parameter in tool["parameters"]
    ]
    return pb.Tool(
        name=tool["name"],
        description=tool["description"],
        parameters=parameters,
        streaming=tool["streaming"],
    )


def _printable(text: str) -> str:
    """``text`` with a question mark for each half of a character that came without the other."""
    return text.encode(errors="replace").decode()
