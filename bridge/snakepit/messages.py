"""What stands in Snakepit's messages: values, tools and errors, in the forms that Elixir takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage

from .._generated import snakepit_bridge_pb2 as pb
from ..errors import CallError, EncodeError, RemoteProtocolError, cut
from ..tool import Tool
from ..wire import MAX_ITEMS
from ..wire.json_text import decode_json, encode_json

#: Arguments that Snakepit's worker repeats in the context of an error, as SnakeBridge sends them.
_SITE = ("library", "python_module", "function", "call_type", "payload_version")
#: What Snakepit calls JSON. Its own encoder and decoder look at nothing else.
_TYPE_URL = "type.googleapis.com/google.protobuf.StringValue"


def set_json(message: AnyMessage, text: bytes) -> None:
    """Make a message of a JSON document."""
    message.value = text
    message.type_url = _TYPE_URL


def set_value(message: AnyMessage, value: Any, name: str) -> None:
    """Make a message of a value.

    Args:
        message: is changed.
        value: whatever JSON can say, or what has a form there.
        name: what an error calls the value: its path begins so.

    Raises:
        EncodeError: a part of it has no form; the message has its path.
    """
    set_json(message, encode_json(value, name))


def get_value(message: AnyMessage, name: str, max_items: int = MAX_ITEMS) -> Any:
    """The value of a message.

    The type is not looked at: Snakepit's Python side writes other ones there, with JSON all the
    same.

    Args:
        message: which has it.
        name: what an error calls it.
        max_items: so many lists and maps may be in it; default: 2 Mi.

    Raises:
        RemoteProtocolError: it is no JSON, or there are more.
    """
    return decode_json(message.value, name, max_items)


def describe_tools(tools: Mapping[str, Tool]) -> list[dict[str, Any]]:
    """The fields of a ``ToolSpec`` or ``ToolRegistration`` for each tool that has a name, by name.

    Args:
        tools: all tools of an adapter by name; those that begin with ``$/`` have none for Elixir.
    """
    return [
        _describe_tool(tools[name].describe())
        for name in sorted(tools)
        if not name.startswith("$/")
    ]


def _describe_tool(tool: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        _describe_parameter(parameter)
        for parameter in tool["parameters"]
        if not parameter["kind"].endswith("rest")
    ]
    return {
        "name": tool["name"],
        "description": tool["description"],
        "parameters": parameters,
        "supports_streaming": tool["streaming"],
    }


def _describe_parameter(parameter: dict[str, Any]) -> pb.ParameterSpec:
    spec = pb.ParameterSpec(
        name=parameter["name"],
        type=parameter["annotation"] or "any",
        required=parameter["required"],
    )
    if not parameter["required"]:
        try:
            set_value(spec.default_value, parameter["default"], parameter["name"])
        except EncodeError:
            spec.ClearField("default_value")  # NaN: better nothing than something else
    return spec


def describe_error(
    error: CallError, request: pb.ExecuteToolRequest, max_bytes: int | None = None
) -> str:
    """An error as a JSON object, with as much of its traceback as there is room for.

    Args:
        error: how the call has ended.
        request: what was asked for; empty if it could not be read.
        max_bytes: the length of the longest text; default: any.
    """
    message, lines = describe_error_as_text(error, max_bytes), error.traceback or []
    kind = error.type or type(error).__qualname__
    context = {
        "tool_name": request.tool_name,
        "session_id": request.session_id,
        "code": error.code,
        **_describe_site(request),
    }
    while True:
        described = {
            # Elixir has exceptions of these names, without modules
            "type": kind.rpartition(".")[2],
            "message": message,
            "stacktrace": list(map(cut, lines)),
            "traceback": cut("\n".join(lines)),
            "context": context,
        }
        text = json.dumps(described)
        if max_bytes is None or len(text) <= max_bytes or not lines:
            return text
        # the innermost lines say most
        lines = lines[len(lines) // 2 + 1 :]


def _describe_site(request: pb.ExecuteToolRequest) -> dict[str, Any]:
    """What a generic tool was to call, where its arguments say so."""
    site = {}
    for name in _SITE:
        if name in request.parameters:
            try:
                site[name] = get_value(request.parameters[name], name)
            except RemoteProtocolError:
                pass  # the error says so
    return site


def describe_error_as_text(error: CallError, max_bytes: int | None = None) -> str:
    """An error as text, for versions that take no object."""
    # a quarter of the room, as escapes make it longer
    return cut(error.message, None if max_bytes is None else max_bytes // 4)
