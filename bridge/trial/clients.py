"""Clients of a bridge over gRPC that ask for one sum, in its own way and in Snakepit's."""

from __future__ import annotations

import json
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .._generated import bridge_pb2, snakepit_bridge_pb2
from ..errors import BridgeError
from ..wire import Encoder, decode_value


def ask_bridge(port: int, timeout_s: float) -> object:
    """The sum of 1 and 2, after the health, which a package of its own answers.

    Raises ``grpc.RpcError`` if either is not answered in time.
    """
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        call = channel.unary_unary(
            "/bridge.v1.Bridge/Call",
            request_serializer=bridge_pb2.CallRequest.SerializeToString,
            response_deserializer=bridge_pb2.CallResponse.FromString,
        )
        params = bridge_pb2.Payload(msgpack=Encoder().value([1, 2], "params"))
        request = bridge_pb2.CallRequest(tool="add", params=params)
        return decode_value(call(request, timeout=timeout_s).result.msgpack)


def ask_snakepit(port: int, timeout_s: float) -> object:
    """The sum of 1 and 2. Raises ``grpc.RpcError``, or ``BridgeError`` if it is refused."""
    request = snakepit_bridge_pb2.ExecuteToolRequest(session_id="trial", tool_name="add")
    for name, value in (("a", b"1"), ("b", b"2")):
        request.parameters[name].value = value
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/snakepit.bridge.BridgeService/ExecuteTool",
            request_serializer=snakepit_bridge_pb2.ExecuteToolRequest.SerializeToString,
            response_deserializer=snakepit_bridge_pb2.ExecuteToolResponse.FromString,
        )
        response = call(request, timeout=timeout_s)
    if not response.success:
        raise BridgeError(response.error_message)
    return json.loads(response.result.value)
