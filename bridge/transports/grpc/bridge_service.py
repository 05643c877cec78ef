"""The service ``bridge.v1.Bridge``: what the messages of ``protos/bridge.proto`` mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from ..._generated import bridge_pb2 as pb
from ...errors import CallError, EncodeError, InvalidParams, RemoteProtocolError, cut, text_of
from ...wire import MAX_TEXT_BYTES, TABLE, sendable
from .behavior import mark
from .caller import ToolCaller
from .exchange import Responses
from .service import Service
from .status import CallStatus
from .values import from_value, to_struct, to_value


class BridgeService(Service):
    """Requests and responses are bytes to gRPC, so that what cannot be decoded is answered here.

    Args:
        caller: calls and describes the tools.
    """

    name: str = pb.DESCRIPTOR.services_by_name["Bridge"].full_name

    def __init__(self, caller: ToolCaller) -> None:
        self._caller = caller

    def handlers(self) -> Mapping[str, Any]:
        aside = self._caller.aside
        return {
            "Call": grpc.unary_unary_rpc_method_handler(self._call),
            "CallStream": grpc.unary_stream_rpc_method_handler(
                # it sends its responses itself
                mark(self._call_stream, experimental_non_blocking=True)
            ),
            "ListTools": grpc.unary_unary_rpc_method_handler(aside(self._list_tools)),
            "GetStats": grpc.unary_unary_rpc_method_handler(aside(self._get_stats)),
            "GetStacks": grpc.unary_unary_rpc_method_handler(aside(self._get_stacks)),
        }

    def _call(self, data: bytes, context: Any) -> bytes:
        payloads = _Payloads(self._caller)
        try:
            request = payloads.decode(data)
            return self._caller.call(
                context,
                _CallResponses(payloads),
                request.tool,
                payloads.params(request),
                session=request.session or None,
            )
        except CallError as error:
            context.abort_with_status(CallStatus(error, payloads.field))
            raise

    def _call_stream(
        self, data: bytes, context: Any, send: Callable[[bytes | None], object]
    ) -> None:
        payloads, sender = _Payloads(self._caller), self._caller.open_stream(send)
        try:
            request = payloads.decode(data)
            last = self._caller.call(
                context,
                _StreamResponses(payloads),
                request.tool,
                payloads.params(request),
                session=request.session or None,
                sender=sender,
            )
            sender.end(last)
        except CallError as error:
            context.abort_with_status(CallStatus(error, payloads.field))

    def _list_tools(self, data: bytes, context: Any) -> bytes:
        tools = [_describe_tool(tool) for tool in self._caller.describe_tools()]
        message: bytes = pb.ListToolsResponse(tools=tools).SerializeToString()
        return message

    def _get_stats(self, data: bytes, context: Any) -> bytes:
        stats = to_struct(self._caller.stats(), "stats")
        message: bytes = pb.GetStatsResponse(stats=stats).SerializeToString()
        return message

    def _get_stacks(self, data: bytes, context: Any) -> bytes:
        if not self._caller.is_guarded:
            refusal = (
                "stacks are shown only to callers with a token: start the bridge with --token-file"
            )
            error = CallError(refusal, code="permission_denied", started=False)
            context.abort_with_status(CallStatus(error))
        stacks = to_struct(self._caller.stacks(), "stacks")
        message: bytes = pb.GetStacksResponse(stacks=stacks).SerializeToString()
        return message


class _Payloads:
    """Reads one request, and makes payloads in its form: MessagePack or JSON."""

    #: The part of the request that is being looked at.
    field = "params"
    _as_json = False
    #: Whether the caller takes tables.
    _tables = False

    def __init__(self, caller: ToolCaller) -> None:
        self._caller = caller

    def decode(self, data: bytes) -> pb.CallRequest:
        """The message of a request. Raises ``InvalidParams``."""
        try:
            request: pb.CallRequest = pb.CallRequest.FromString(data)
            self._tables = TABLE in request.extensions
            return request
        except DecodeError as error:
            self.field = ""
            raise InvalidParams(
                f"the request is no bridge.v1.CallRequest: {error}", started=False
            ) from None

    def params(self, request: pb.CallRequest) -> Any:
        """The arguments, a list or a map, whose form is that of the answer. Raises ``CallError``."""
        payload = request.params
        params: Any = []
        if payload.msgpack:
            self.field = "params.msgpack"
            try:
                params = self._caller.decode(payload.msgpack)
            except RemoteProtocolError as error:
                raise error.to_call_error() from None
        elif payload.HasField("json"):
            self.field = "params.json"
            self._as_json = True
            try:
                params = from_value(payload.json, self._caller.max_message_items)
            except RemoteProtocolError as error:
                raise error.to_call_error() from None
        if type(params) is not list and type(params) is not dict:
            raise InvalidParams(
                "the parameters must be a list, by position, or a map, by name; "
                f"got {type(params).__name__}",
                started=False,
            )
        return params

    def make(self, value: Any, name: str) -> pb.Payload:
        """The payload of a value. Raises ``EncodeError``, which calls it ``name``."""
        if self._as_json:
            return pb.Payload(json=to_value(value, name, self._caller.forms))
        return pb.Payload(msgpack=self._caller.encode(value, name, tables=self._tables))


class _CallResponses(Responses):
    """Those of ``Call``."""

    def __init__(self, payloads: _Payloads) -> None:
        self._payloads = payloads

    def encode_result(self, value: Any) -> bytes:
        response = pb.CallResponse(result=self._payloads.make(value, "result"))
        message: bytes = response.SerializeToString()
        return message


class _StreamResponses(Responses):
    """Those of ``CallStream``."""

    def __init__(self, payloads: _Payloads) -> None:
        self._payloads = payloads

    def encode_result(self, value: Any) -> bytes:
        return _serialize(result=self._payloads.make(value, "result"))

    def encode_item(self, value: Any) -> bytes:
        return _serialize(item=self._payloads.make(value, "item"))

    def encode_progress(self, done: float, total: float | None, text: str | None) -> bytes:
        return _serialize(progress=pb.Progress(done=done, total=total, text=_text(text or "")))

    def encode_log(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> bytes:
        record = pb.LogRecord(level=_text(level), logger=_text(logger), text=_text(text))
        record.fields.CopyFrom(_fields(fields))
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
        idempotent=tool["idempotent"],
        schema=_schema(tool["schema"]),
        returns=_schema(tool["returns"]),
    )


def _schema(schema: dict[str, Any]) -> Any:
    try:
        return to_struct(schema, "schema")
    except EncodeError:
        return None  # nested deeper than a message may be: it says nothing then


def _fields(fields: dict[str, Any]) -> Any:
    try:
        return to_struct(fields, "fields")
    except BaseException:  # code of the tool's classes, SystemExit included
        return to_struct(sendable({str(name): value for name, value in fields.items()}), "fields")


def _text(value: Any) -> str:
    """Text for a line of log or progress: what cannot be sent is escaped, what is long cut."""
    return cut(text_of(value), MAX_TEXT_BYTES)
