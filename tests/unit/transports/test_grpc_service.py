"""A service of somebody else's, on a server in this process: what ``service.py`` promises."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("grpc")

import grpc
from grpc_health.v1 import health_pb2

from bridge import tool
from bridge.errors import CallError
from bridge.transports.grpc import behavior, caller, endpoint, exchange, executor, sender, server
from bridge.transports.grpc.behavior import mark
from bridge.transports.grpc.caller import ToolCaller
from bridge.transports.grpc.exchange import Responses
from bridge.transports.grpc.server import GrpcServer, GrpcTransport
from bridge.transports.grpc.service import Service
from bridge.transports.grpc.settings import GrpcSettings
from tests.tool_bench import Bench
from tests.waiting import passed

from .grpc_requests import Hold


class Lines(Responses):
    """Each value, and each note, is a line of text."""

    def encode_result(self, value: Any) -> bytes:
        return f"= {value}".encode()

    def encode_item(self, value: Any) -> bytes:
        return f"- {value}".encode()

    def encode_log(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> bytes:
        return f"# {text}".encode()


class LineService(Service):
    """Requests are ``tool argument``, responses lines."""

    name = "lines.Lines"

    def __init__(self, caller: ToolCaller) -> None:
        self._caller = caller

    def handlers(self) -> Mapping[str, Any]:
        return {
            "One": grpc.unary_unary_rpc_method_handler(self._one),
            "Many": grpc.unary_stream_rpc_method_handler(
                mark(self._many, experimental_non_blocking=True)
            ),
            "Names": grpc.unary_unary_rpc_method_handler(self._caller.aside(self._names)),
        }

    def _one(self, data: bytes, context: Any) -> bytes:
        name, argument = data.decode().split()
        try:
            return self._caller.call(context, Lines(), name, [argument])
        except CallError as error:
            return f"! {error.code}".encode()

    def _many(self, data: bytes, context: Any, send: Callable[[bytes | None], object]) -> None:
        name, argument = data.decode().split()
        sender = self._caller.open_stream(send)
        sender.end(self._caller.call(context, Lines(), name, [argument], sender=sender))

    def _names(self, data: bytes, context: Any) -> bytes:
        return " ".join(self._caller.tools).encode()


@tool
def double(text: str) -> str:
    return 2 * text


@tool
def letters(text: str) -> Iterator[str]:
    yield from text


@pytest.fixture
def hold() -> Iterator[Hold]:
    hold = Hold()
    yield hold
    hold.leave.set()


@pytest.fixture
def served(hold: Hold) -> Iterator[tuple[GrpcServer, grpc.Channel]]:
    """A server with one worker, and a client."""
    bench = Bench(double, letters, hold.tool, max_workers=1)
    transport = GrpcTransport(GrpcSettings(port=0), 1 << 20, [LineService])
    found = transport.serve(bench.dispatcher)
    with grpc.insecure_channel(f"127.0.0.1:{found.address}") as channel:
        yield found, channel
    found.drain()
    found.close(idle=True)


def ask(channel: grpc.Channel, method: str, text: str) -> str:
    data: bytes = channel.unary_unary(f"/lines.Lines/{method}")(text.encode(), timeout=20)
    return data.decode()


def test_a_tool_is_called_and_its_errors_are_the_services_business(served):
    _, channel = served
    assert ask(channel, "One", "double ab") == "= abab"
    assert ask(channel, "One", "treble ab") == "! not_found"
    assert ask(channel, "One", "letters ab") == "! invalid_argument"  # it streams


def test_a_stream_has_items_and_a_last_message(served):
    _, channel = served
    lines = channel.unary_stream("/lines.Lines/Many")(b"letters abc", timeout=20)
    assert list(lines) == [b"- a", b"- b", b"- c", b"= None"]


def test_the_health_follows_whether_calls_are_served(served):
    found, channel = served
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )

    def statuses() -> set[int]:
        requests = [health_pb2.HealthCheckRequest(service=name) for name in ("", "lines.Lines")]
        return {check(request, timeout=20).status for request in requests}

    kinds = health_pb2.HealthCheckResponse
    assert statuses() == {kinds.SERVING}
    found.set_health(False)
    assert statuses() == {kinds.NOT_SERVING}
    found.set_health(True)
    assert statuses() == {kinds.SERVING}
    found.drain()
    found.set_health(True)
    assert statuses() == {kinds.NOT_SERVING}


def test_what_runs_aside_is_answered_while_every_worker_is_busy(served, hold):
    _, channel = served
    call = channel.unary_unary("/lines.Lines/One").future(b"hold x")
    passed(hold.began)
    assert set(ask(channel, "Names", "").split()) == {"double", "hold", "letters"}
    hold.leave.set()
    assert call.result() == b"= x"


@pytest.mark.parametrize("module", [behavior, caller, endpoint, exchange, executor, sender, server])
def test_annotations_can_be_read(module):
    for value in vars(module).values():
        if getattr(value, "__module__", None) == module.__name__:
            functions = vars(value).values() if isinstance(value, type) else [value]
            for function in functions:
                if callable(function) and not isinstance(function, type):
                    typing.get_type_hints(function)
