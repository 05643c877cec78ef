"""What only gRPC has: JSON, statuses with details, health, reflection, sockets, and its limits."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("grpc")

import grpc
import msgpack
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Value
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from bridge._generated import bridge_pb2 as pb
from bridge.errors import CallError, TransportClosed
from bridge.testing import PATIENCE_S, PortPeer
from tests.processes import Processes, Shared, put_away
from tests.waiting import wait_until

from .conformance_tools import Meeting, Visitor
from .grpc_peer import SERVICE, SMALLEST_WINDOW, GrpcPeer, details_of
from .test_conformance import ADAPTER, be_heard, endless, error_of, failure, settle, stats

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
MIB = 1 << 20


@pytest.fixture(scope="module")
def bridges(processes: Processes) -> Iterator[Shared[GrpcPeer]]:
    with Shared(processes, partial(GrpcPeer, *ADAPTER), settle_quietly) as bridges:
        yield bridges


@pytest.fixture
def peer(bridges: Shared[GrpcPeer], request: pytest.FixtureRequest) -> Iterator[GrpcPeer]:
    """Four workers, reflection, limits as they are by default; each test leaves it idle."""
    with bridges.lend(request, "--max-workers", "4", "--reflection") as peer:
        yield peer


@pytest.fixture
def small(bridges: Shared[GrpcPeer], request: pytest.FixtureRequest) -> Iterator[GrpcPeer]:
    """One worker, room for two more calls, 1 MiB for a message; each test leaves it idle."""
    arguments = ("--max-workers", "1", "--max-queue", "2", "--max-message-bytes", str(MIB))
    with bridges.lend(request, *arguments) as peer:
        yield peer


@pytest.fixture
def start() -> Iterator[Callable[..., GrpcPeer]]:
    """Starts gRPC bridges that end in their test."""
    peers: list[GrpcPeer] = []

    def start(*arguments: str, **options: Any) -> GrpcPeer:
        peers.append(GrpcPeer(*ADAPTER, *arguments, **options))
        return peers[-1]

    yield start
    for peer in peers:
        put_away(peer)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[list[tuple[GrpcPeer, int, Visitor]]]:
    """Calls that wait for their end, which comes seconds later: begun before all tests."""
    with GrpcPeer(*ADAPTER, "--max-workers", "4") as peer, closing(Meeting()) as meeting:
        calls = []
        for name in ("first", "second", "third", "fourth"):
            peer.call("$/ping")  # there is a connection now, so that no time is lost with that
            # 10.025 s travel as 10.1 s: gRPC's clients round up
            params = [meeting.port, name]
            msgid = peer.request("until_interrupted", params, timeout_ms=10_025)
            calls.append((peer, msgid, meeting.visitor(name)))
        yield calls


def settle_quietly(peer: GrpcPeer) -> None:
    """Wait until the server does nothing. Whatever clients did, it has no reason to complain."""
    settle(peer)
    assert peer.stderr == ""


def json_of(value: Any) -> Value:
    return json_format.ParseDict(value, Value())


def ask(peer: GrpcPeer, tool: str, params: Any = None, **options: Any) -> pb.Payload:
    """A call with JSON; returns the payload of its result."""
    request = pb.CallRequest(tool=tool, params=pb.Payload(json=json_of(params)))
    return peer.unary("Call", pb.CallResponse)(request, timeout=PATIENCE_S, **options).result


def ask_json(peer: GrpcPeer, tool: str, params: Any) -> Any:
    payload = ask(peer, tool, params)
    assert payload.WhichOneof("form") == "json"
    return json_format.MessageToDict(payload.json)


def refusal(peer: GrpcPeer, message: pb.CallRequest | bytes) -> CallError:
    """The error that a request as it is ends with; no tool has seen it."""
    error = error_of(peer, peer.send(message))
    assert error.started is False
    return error


def field_of(error: CallError) -> str:
    (violation,) = details_of(error)["BadRequest"].field_violations
    assert violation.description
    return violation.field


def check(peer: GrpcPeer, service: str = "") -> int:
    return peer.checks.Check(
        health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S
    ).status


def occupy(peer: GrpcPeer, meeting: Meeting, count: int) -> list[int]:
    """Occupy so many workers with calls that end when they meet the test; returns the ids."""
    ids = [peer.request("meet", [meeting.port, str(n)]) for n in range(count)]
    for n in range(count):
        meeting.visitor(str(n))
    return ids


def release(peer: GrpcPeer, meeting: Meeting, ids: list[int]) -> None:
    for n, msgid in enumerate(ids):
        meeting.visitor(str(n)).go("released")
        assert peer.result(msgid) == "released"


# -- JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -7, 2**53, 1.5, "täxt 𝄞", "", [], {}, [1, [None, {"a": [False]}]], {"": 1}],
)
def test_what_json_has_comes_back_as_it_was(peer, value):
    assert ask_json(peer, "echo", [value]) == value


def test_arguments_come_by_position_by_name_or_not_at_all(peer):
    assert ask_json(peer, "given", [1, "x", None]) == "((1, 'x', None), {})"
    assert ask_json(peer, "given", {"a": [1]}) == "((), {'a': [1]})"
    assert ask_json(peer, "given", []) == "((), {})"


def test_numbers_without_a_fraction_are_int_to_the_tool_and_others_float(peer):
    seen = ask_json(peer, "given", [1, 1.0, -0.5, 1e20, True])
    assert seen == "((1, 1, -0.5, 100000000000000000000, True), {})"


def test_numbers_that_are_none_reach_the_tool_as_such(peer):
    values = [Value(number_value=float(text)) for text in ("nan", "inf", "-inf")]
    params = pb.Payload()
    params.json.list_value.values.extend(values)
    call = peer.unary("Call", pb.CallResponse)
    response = call(pb.CallRequest(tool="given", params=params), timeout=PATIENCE_S)
    assert response.result.json.string_value == "((nan, inf, -inf), {})"


def test_what_json_lacks_becomes_text_and_lists(peer):
    assert ask_json(peer, "special", []) == {
        "nan": "NaN",
        "up": "Infinity",
        "down": "-Infinity",
        "big": str(2**53 + 1),
        "exact": 2**53,
        "huge": str(-(2**70)),
        "bytes": "AP8=",
        "time": "2026-11-23T12:00:00+00:00",
        "array": [[0, 1], [2, 3]],
        "keys": {"2": "int", "null": "none", "true": "true", "AQ==": "bytes"},
    }


def test_rich_python_values_have_the_form_that_they_have_in_messagepack(peer):
    assert ask_json(peer, "rich", []) == peer.call("rich")


def test_items_and_result_of_a_stream_come_in_the_form_of_the_request(peer):
    params = pb.Payload(json=json_of([[1, "x", {"a": None}]]))
    msgid = peer.send(
        pb.CallRequest(tool="stream_of", params=params), stream={"items": 9, "bytes": 0}
    )
    assert peer.result(msgid) is None
    assert peer.items[msgid] == [1, "x", {"a": None}]


def test_a_result_that_json_has_no_room_for_is_an_error_with_its_path(peer):
    with pytest.raises(grpc.RpcError) as caught:
        ask(peer, "unencodable", [])
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "result.scores[3]" in caught.value.details()


def test_a_result_that_is_nested_too_deeply_for_json_is_an_error(peer):
    with pytest.raises(grpc.RpcError, match="30 levels") as caught:
        ask(peer, "nested", [31])
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert ask_json(peer, "nested", [20]) == eval("[" * 20 + "]" * 20)


def test_a_key_that_is_not_unicode_is_an_error_that_names_it(start):
    peer = start()
    with pytest.raises(grpc.RpcError) as caught:
        ask(peer, "surrogate_key", [])
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "the key" in caught.value.details()


def test_a_serial_tool_whose_result_cannot_be_encoded_can_be_called_again(start):
    peer = start()
    call = peer.unary("Call", pb.CallResponse)
    request = pb.CallRequest(tool="surrogate_key_alone", params=pb.Payload(json=json_of([])))
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=PATIENCE_S)
        assert caught.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED


def test_without_params_there_are_no_arguments_and_the_result_is_messagepack(peer):
    call = peer.unary("Call", pb.CallResponse)
    response = call(pb.CallRequest(tool="given"), timeout=PATIENCE_S)
    assert response.result.WhichOneof("form") == "msgpack"
    assert msgpack.unpackb(response.result.msgpack) == "((), {})"


# -- bad requests ---------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05abc", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_request_are_an_invalid_argument(peer, data):
    error = refusal(peer, data)
    assert error.code == "invalid_argument"
    assert "CallRequest" in error.message
    assert peer.call("echo", [1]) == 1


def test_bytes_that_are_no_request_are_one_in_a_stream_too(peer):
    error = error_of(peer, peer.send(b"\xff", stream={"items": 1, "bytes": 0}))
    assert (error.code, error.started) == ("invalid_argument", False)


def test_fields_that_nobody_knows_are_ignored(peer):
    data = pb.CallRequest(tool="nothing").SerializeToString() + b"\xfa\x07\x03new"
    assert peer.result(peer.send(data)) is None


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, None])
def test_params_that_are_neither_list_nor_map_are_refused_in_both_forms(peer, value):
    for payload, field in (
        (pb.Payload(msgpack=msgpack.packb(value)), "params.msgpack"),
        (pb.Payload(json=json_of(value)), "params.json"),
    ):
        error = refusal(peer, pb.CallRequest(tool="echo", params=payload))
        assert error.code == "invalid_argument"
        assert "a list" in error.message
        assert field_of(error) == field


def test_json_that_is_not_set_is_refused(peer):
    error = refusal(peer, pb.CallRequest(tool="echo", params=pb.Payload(json=Value())))
    assert (error.code, field_of(error)) == ("invalid_argument", "params.json")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xc1", "not a MessagePack"),
        (b"\x92\x01", "not a MessagePack"),
        (b"\x91\x01\x01", "1 bytes follow"),
        (b"\x91\xc7\x01\x63\x00", "unknown extension type 99"),
        (b"\x91" * 5000 + b"\xc0", "nested too deeply"),
    ],
)
def test_bytes_that_are_no_messagepack_are_refused(peer, data, words):
    error = refusal(peer, pb.CallRequest(tool="echo", params=pb.Payload(msgpack=data)))
    assert (error.code, field_of(error)) == ("invalid_argument", "params.msgpack")
    assert words in error.message


def test_wrong_arguments_name_the_field_in_either_form(peer):
    error = refusal(peer, pb.CallRequest(tool="echo"))
    assert field_of(error).startswith("params")
    error = refusal(peer, pb.CallRequest(tool="echo", params=pb.Payload(json=json_of([1, 2]))))
    assert field_of(error) == "params.json"
    assert "takes 1 by position, got 2" in error.message


def test_a_request_without_a_tool_is_not_found(peer):
    assert refusal(peer, pb.CallRequest()).code == "not_found"


@pytest.mark.parametrize("method", [f"{SERVICE}/Cal", "bridge.v2.Bridge/Call", "x/y"])
def test_methods_that_do_not_exist_are_unimplemented(peer, method):
    with pytest.raises(grpc.RpcError) as caught:
        peer.channel.unary_unary(f"/{method}")(b"", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_client_that_sends_no_message_gets_an_answer_and_harms_nobody(peer):
    call = peer.channel.stream_unary(f"/{SERVICE}/Call")
    with pytest.raises(grpc.RpcError):
        call(iter([]), timeout=PATIENCE_S)
    assert peer.call("echo", [1]) == 1


class Unsent:
    """Requests whose headers are on their way, and whose messages are not."""

    def __init__(self, peer: GrpcPeer, method: str, message: Message, count: int) -> None:
        self._message = message
        self._may_send = threading.Event()
        call = peer.channel.stream_unary(method)
        self._calls = [call.future(self._messages()) for _ in range(count)]

    def _messages(self) -> Iterator[bytes]:
        self._may_send.wait(PATIENCE_S)
        yield self._message.SerializeToString()

    def finish(self) -> list[bytes]:
        self._may_send.set()
        return [call.result(PATIENCE_S) for call in self._calls]


def test_a_client_that_is_slow_to_send_its_message_occupies_no_worker(small):
    unsent = Unsent(small, f"/{SERVICE}/Call", pb.CallRequest(tool="nothing"), 1)
    try:
        for number in range(200):  # meanwhile they arrive, on the same connection
            small.call("$/ping", [number])
        assert small.call("echo", ["meanwhile"], timeout_ms=500 * PATIENCE_S) == "meanwhile"
    finally:
        assert len(unsent.finish()) == 1
        settle(small)


def test_clients_that_are_slow_to_ask_for_the_health_keep_nobody_from_asking(small):
    request = health_pb2.HealthCheckRequest()
    unsent = Unsent(small, "/grpc.health.v1.Health/Check", request, 8)
    try:
        for _ in range(200):
            assert small.checks.Check(request, timeout=PATIENCE_S / 2).status == SERVING
    finally:
        assert len(unsent.finish()) == 8


# -- statuses -------------------------------------------------------------------------------


def trailer_bytes(error: CallError) -> int:
    """How large the trailers are as HTTP/2 counts them (RFC 9113, 6.5.2), before compression."""
    failure = error.__cause__
    size = 0
    for key, value in failure.trailing_metadata():
        size += len(key) + 32
        size += (len(value) + 2) // 3 * 4 if isinstance(value, bytes) else len(value)
    size += len("grpc-message") + 32 + len(quote(failure.details()))
    return size + len("grpc-status") + 32 + 2


def test_an_exception_is_internal_with_its_reason_type_and_traceback(peer):
    error = failure(peer, "raises", "bad weather")
    details = details_of(error)
    assert error.__cause__.code() is grpc.StatusCode.INTERNAL
    info = details["ErrorInfo"]
    assert (info.domain, info.reason) == ("bridge", "TOOL_FAILED")
    assert dict(info.metadata) == {"type": "builtins.ValueError", "started": "true"}
    assert details["DebugInfo"].stack_entries[-1] == "ValueError: bad weather"
    assert details.keys() == {"ErrorInfo", "DebugInfo"}


def test_other_errors_have_their_code_for_a_reason(peer):
    details = details_of(failure(peer, "ecko"))
    assert details["ErrorInfo"].reason == "NOT_FOUND"
    assert dict(details["ErrorInfo"].metadata) == {"started": "false"}
    assert details.keys() == {"ErrorInfo"}
    assert details_of(failure(peer, "refuses", "Eve"))["ErrorInfo"].reason == "PERMISSION_DENIED"


def test_a_full_queue_says_when_to_try_again(small, meeting):
    ids = occupy(small, meeting, 1)
    waiting = [small.request("echo", [n]) for n in range(2)]
    wait_until(lambda: stats(small, "queued") == 2, "the queue to fill")
    error = failure(small, "echo", 3)
    assert (error.code, error.started) == ("resource_exhausted", False)
    details = details_of(error)
    delay = details["RetryInfo"].retry_delay.ToMilliseconds()
    assert 0 < delay <= 1000
    assert dict(error.__cause__.trailing_metadata())["grpc-retry-pushback-ms"] == str(delay)
    assert details["ErrorInfo"].reason == "RESOURCE_EXHAUSTED"
    release(small, meeting, ids)
    assert [small.result(msgid) for msgid in waiting] == [0, 1]


def test_an_exhaustion_that_a_tool_speaks_of_is_not_to_be_tried_again(peer):
    error = failure(peer, "raises_call_error", "resource_exhausted", "quota")
    assert "RetryInfo" not in details_of(error)
    assert "grpc-retry-pushback-ms" not in dict(error.__cause__.trailing_metadata())


def test_a_huge_traceback_and_message_arrive_cut_with_their_code(peer):
    error = failure(peer, "raises_from_deep", 60, 100_000)
    assert (error.code, error.type) == ("internal", "conformance_tools.Odd")
    assert error.message.startswith("ää")
    assert 200 < len(error.message.encode()) < 2000
    assert trailer_bytes(error) < 8192


def test_a_huge_traceback_is_cut_to_its_innermost_lines(peer):
    error = failure(peer, "raises_from_deep", 60, 10)
    assert 500 < sum(len(line.encode()) for line in error.traceback) <= 2048
    assert error.traceback[-1] == "conformance_tools.Odd: äääää"
    assert any("in f60" in line for line in error.traceback)
    assert trailer_bytes(error) < 8192


def test_a_long_message_does_not_take_the_traceback_along(peer):
    error = failure(peer, "raises_from_deep", 3, 100_000)
    assert any("in f3" in line for line in error.traceback or [])
    assert sum(len(line.encode()) for line in error.traceback) <= 2048


@pytest.mark.parametrize("code", ["internal", "invalid_argument", "resource_exhausted"])
@pytest.mark.parametrize("text", ["ä", "x", "%", "\x01", "𝄞"])
def test_an_error_that_is_large_in_every_part_fits_into_trailers(peer, code, text):
    error = failure(peer, "raises_fat", code, text)
    assert error.code == code
    assert error.type.startswith("module.")
    assert error.message.startswith(text)
    assert trailer_bytes(error) < 8192


def test_details_that_are_too_large_are_left_out_and_the_rest_stays(peer):
    error = failure(peer, "raises_call_error", "aborted", "why", {"text": "x" * 10_000})
    assert (error.code, error.message, error.details) == ("aborted", "why", None)
    error = failure(peer, "raises_call_error", "aborted", "why", {"tensor": b"\xff"})
    assert error.details == {"tensor": "/w=="}


# -- metadata -------------------------------------------------------------------------------


def test_what_is_the_transports_own_is_not_shown_to_tools(peer):
    metadata = [("authorization", "Bearer x"), ("trace-bin", b"\x00\xff"), ("x-mine", "1")]
    facts = json_format.MessageToDict(ask(peer, "facts", [], metadata=metadata).json)
    assert facts["metadata"] == [["x-mine", "1"]]


# -- sizes ----------------------------------------------------------------------------------


def test_a_message_at_the_limit_passes_and_one_above_it_does_not(small):
    room = MIB - 64
    assert small.call("length", [bytes(room)]) == room
    assert len(small.call("zeros", [room])) == room
    error = failure(small, "length", bytes(MIB))
    assert error.code == "resource_exhausted"
    error = failure(small, "zeros", MIB)
    assert (error.code, error.started) == ("resource_exhausted", True)
    assert "--max-message-bytes" in error.message
    assert small.call("echo", ["goes on"]) == "goes on"


def test_an_item_above_the_limit_ends_its_stream(small):
    params = [[b"small", bytes(600_000), b"never"]]
    msgid = small.request("stream_doubled", params, stream={"items": 9, "bytes": 0})
    error = error_of(small, msgid)
    assert error.code == "resource_exhausted"
    assert [len(item) for item in small.items[msgid]] == [10]


def test_a_small_message_that_unpacks_to_a_large_one_is_refused(small):
    data = small.encode([bytes(20 * MIB)])
    request = pb.CallRequest(tool="length", params=pb.Payload(msgpack=data))
    with pytest.raises(grpc.RpcError) as caught:
        small.unary("Call", pb.CallResponse)(
            request, compression=grpc.Compression.Gzip, timeout=PATIENCE_S
        )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert small.call("echo", [1]) == 1


def test_65_megabytes_are_too_many_by_default_both_ways(peer):
    assert failure(peer, "length", bytes(65_000_000 + 3 * MIB)).code == "resource_exhausted"
    assert failure(peer, "zeros", 65_000_000 + 3 * MIB).code == "resource_exhausted"
    assert peer.call("length", [bytes(10_000_000)]) == 10_000_000


# -- how far a stream runs ahead ------------------------------------------------------------


@pytest.mark.parametrize("window", [SMALLEST_WINDOW, 4 * MIB])
@pytest.mark.parametrize("size", [1 << 14, 1 << 17])
@pytest.mark.parametrize("read", [0, 1, 20])
def test_a_stream_runs_ahead_of_its_reader_as_far_as_the_clients_window(
    peer, meeting, window, size, read
):
    """``docs/grpc.md`` says what the bound is made of."""
    with GrpcPeer(attach=peer.ready["grpc_port"], window=window) as client:
        msgid = endless(client, meeting, "a", items=read, size=size)
        visitor = meeting.visitor("a")
        wait_until(lambda: len(client.items.get(msgid, [])) == read, "what is read")
        # what the smallest window takes: grpcio 1.72 knows no larger fixed one
        wait_until(lambda: (len(visitor.heard) - read) * size >= SMALLEST_WINDOW / 2, "some more")
        for number in range(200):  # time for more, if there were no bound
            assert client.call("echo", [number]) == number
        ahead = (len(visitor.heard) - read) * size
        assert ahead <= 2 * window + size + (64 << 10)
        client.cancel(msgid)
        assert visitor.leaves()[-1] == "finally"


# -- health, ListTools, GetStats ----------------------------------------------------------------


def test_health_is_serving_for_the_server_and_the_service(peer):
    assert check(peer) == SERVING
    assert check(peer, SERVICE) == SERVING


def test_health_of_what_nobody_serves_is_not_found(peer):
    with pytest.raises(grpc.RpcError) as caught:
        check(peer, "bridge.v1.Ferry")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("service", "status"), [("", SERVING), (SERVICE, SERVING), ("x", SERVICE_UNKNOWN)]
)
def test_watch_begins_with_the_present_status(peer, service, status):
    watch = peer.checks.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
    assert next(watch).status == status
    watch.cancel()


def test_everything_about_the_bridge_answers_while_it_is_full(small, meeting):
    ids = occupy(small, meeting, 1)
    waiting = [small.request("nothing") for _ in range(2)]
    wait_until(lambda: stats(small, "queued") == 2, "the queue to fill")
    assert failure(small, "nothing").code == "resource_exhausted"
    assert check(small) == check(small, SERVICE) == SERVING
    watches = [
        small.checks.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S) for _ in range(10)
    ]
    assert [next(watch).status for watch in watches] == [SERVING] * 10
    assert "echo" in {tool["name"] for tool in small.call("$/tools")}
    found = small.call("$/stats")
    assert (found["busy"], found["queued"], found["in_flight"]) == (1, 2, 3)
    with pytest.raises(grpc.RpcError) as caught:
        small.channel.unary_unary(f"/{SERVICE}/Nothing")(b"", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError) as caught:
        small.channel.unary_unary(f"/{SERVICE}/GetStacks")(b"", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "--token-file" in caught.value.details()
    for watch in watches:
        watch.cancel()
    release(small, meeting, ids)
    assert [small.result(msgid) for msgid in waiting] == [None, None]


def test_the_health_is_not_serving_first_thing_in_a_drain(start, meeting):
    peer = start("--max-workers", "1")
    watches = {
        service: peer.checks.Watch(
            health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S
        )
        for service in ("", SERVICE)
    }
    assert [next(watch).status for watch in watches.values()] == [SERVING] * 2
    ids = occupy(peer, meeting, 1)
    peer.kill(signal.SIGTERM)
    assert [next(watch).status for watch in watches.values()] == [NOT_SERVING] * 2
    assert check(peer) == check(peer, SERVICE) == NOT_SERVING
    wait_until(lambda: stats(peer, "status") == "draining", "the drain")
    assert failure(peer, "nothing").code == "unavailable"
    assert check(peer) == NOT_SERVING
    release(peer, meeting, ids)
    assert peer.wait() == 0


def test_the_health_is_not_serving_while_every_worker_is_held_in_vain(start, meeting):
    peer = start("--max-workers", "1", "--stuck-after", "0.2")
    watch = peer.checks.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=PATIENCE_S)
    assert next(watch).status == SERVING
    (msgid,) = occupy(peer, meeting, 1)
    peer.cancel(msgid)
    assert next(watch).status == NOT_SERVING
    assert check(peer) == NOT_SERVING
    assert stats(peer, "status") == "stuck"
    meeting.visitor("0").go()
    assert next(watch).status == SERVING
    assert check(peer) == SERVING
    assert peer.call("echo", [1]) == 1
    watch.cancel()


def test_async_calls_beside_one_worker_hold_no_thread_that_receives(start):
    peer = start("--max-workers", "1")
    # more than there are threads that receive; none of them ends before its pair has come
    names = [str(number) for number in range(20)]
    ids = [peer.request("async_pair", [name]) for name in names * 2]
    assert [peer.result(msgid) for msgid in ids] == ["async_pair"] * 40


def test_tools_are_described_with_typed_defaults(peer):
    response = peer.unary("ListTools", pb.ListToolsResponse)(b"", timeout=PATIENCE_S)
    (tool,) = (tool for tool in response.tools if tool.name == "defaults")
    a, b, c, d = tool.parameters
    assert (a.name, a.kind, a.annotation, a.required) == ("a", "either", "int", True)
    assert not a.HasField("default")
    assert b.default == Value(string_value="b")
    assert c.default == Value(number_value=1.5)
    assert d.default.WhichOneof("kind") == "null_value"
    assert [tool.name for tool in response.tools] == sorted(t.name for t in response.tools)


# -- reflection -----------------------------------------------------------------------------


def test_a_client_that_knows_nothing_finds_and_calls_a_tool_by_reflection(peer):
    """What ``grpcurl`` does: list, describe, then a call whose JSON becomes messages."""
    database = ProtoReflectionDescriptorDatabase(peer.channel)
    services = set(database.get_services())
    assert {SERVICE, "grpc.health.v1.Health"} <= services
    pool = DescriptorPool(database)
    method = pool.FindServiceByName(SERVICE).methods_by_name["Call"]
    assert not method.server_streaming
    request_class, response_class = map(GetMessageClass, (method.input_type, method.output_type))
    request = json_format.Parse(
        '{"tool": "defaults", "params": {"json": {"a": 1, "d": ["x"]}}}', request_class()
    )
    call = peer.channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response_class.FromString,
    )
    response = call(request, timeout=PATIENCE_S)
    assert json_format.MessageToDict(response) == {"result": {"json": [1, "b", 1.5, ["x"]]}}


def test_every_service_that_reflection_lists_is_described(peer):
    for _ in range(3):  # clients come and go
        with grpc.insecure_channel(peer.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            for service in database.get_services():
                assert pool.FindServiceByName(service).methods


def test_without_the_flag_there_is_no_reflection(small):
    with pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(small.channel).get_services()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# -- where it listens -------------------------------------------------------------------------


def test_the_ready_line_is_the_first_on_stdout_and_names_a_free_port(peer):
    assert re.fullmatch(r"GRPC_READY:\d+", peer.stdout[0])
    assert 1024 <= peer.ready["grpc_port"] < 65536


def test_a_ready_file_appears_complete_in_place_of_an_older_one(start, tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    file = directory / "port"
    file.write_text("old")
    before = file.stat().st_ino
    peer = start("--ready-file", str(file))
    assert file.read_text() == f"{peer.ready['grpc_port']}\n"
    assert file.stat().st_ino != before, "it was written in place: a reader may see half of it"
    assert os.listdir(directory) == ["port"], "something is left behind"


def test_a_ready_file_that_is_a_link_stays_one(start, tmp_path):
    file, link = tmp_path / "port", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    peer = start("--ready-file", str(link))
    assert link.is_symlink()
    assert file.read_text() == f"{peer.ready['grpc_port']}\n"


def test_a_ready_file_that_is_a_pipe_is_written_to(start, tmp_path):
    """A device neither becomes a file: as root, /dev/stdout would be one for everybody."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        peer = start("--ready-file", pipe)
        assert os.read(reader, 100) == f"{peer.ready['grpc_port']}\n".encode()
    finally:
        os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_ready_file_that_cannot_be_written_ends_the_start(start, tmp_path):
    missing = str(tmp_path / "missing" / "port")
    peer = start("--ready-file", missing, wait_until_ready=False)
    assert peer.wait() == 1
    assert missing in peer.stderr
    assert peer.stdout == []


def test_a_unix_socket_serves_its_user_alone(start, tmp_path):
    with short_directory() as directory:
        path = f"{directory}/bridge.sock"
        file = tmp_path / "ready"
        peer = start("--host", f"unix:{path}", "--ready-file", str(file))
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) & 0o077 == 0, "others may open it"
        assert peer.ready["grpc_port"] == f"unix:{path}"
        assert file.read_text() == f"unix:{path}\n"
        assert peer.call("echo", ["through a socket"]) == "through a socket"
        peer.kill(signal.SIGKILL)
        assert peer.wait() == -signal.SIGKILL
        again = start("--host", f"unix:{path}")  # though the file may still be there
        assert again.call("echo", [2]) == 2


def test_a_port_that_is_in_use_ends_the_start_with_a_clear_message(start, peer):
    port = peer.ready["grpc_port"]
    second = start("--port", str(port), wait_until_ready=False)
    assert second.wait() == 1
    assert f"127.0.0.1:{port}" in second.stderr
    assert "Traceback" not in second.stderr
    assert peer.call("echo", [1]) == 1


def test_an_address_that_others_can_reach_asks_for_tls(start):
    peer = start("--host", "0.0.0.0", wait_until_ready=False)
    assert peer.wait() == 1
    for words in ("0.0.0.0", "--tls-cert", "--insecure"):
        assert words in peer.stderr
    assert "Traceback" not in peer.stderr


def test_an_address_that_others_can_reach_is_served_in_clear_text_on_demand(start):
    peer = start("--host", "0.0.0.0", "--insecure")
    assert peer.call("echo", [1]) == 1


def test_an_adapter_that_cannot_be_imported_is_explained(start):
    peer = start("--adapter", "no_such_module:Tools", wait_until_ready=False)
    assert peer.wait() == 1
    assert "there is no module 'no_such_module'" in peer.stderr
    assert peer.stdout == []


def test_a_bridge_whose_starter_is_gone_cancels_and_leaves(start, meeting):
    peer = start(stdin=subprocess.PIPE)
    msgid = peer.request("until_interrupted", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    visitor.hears()
    peer.process.stdin.close()
    assert visitor.hears(2) == "ShuttingDown unavailable True"
    assert error_of(peer, msgid).code == "unavailable"
    assert peer.wait() == 0
    assert "whoever started this process is gone" in peer.stderr


def short_directory() -> Any:
    """A directory whose name leaves room in the 108 bytes of a socket's address."""
    import tempfile

    return tempfile.TemporaryDirectory(prefix="b")


# -- beside stdio -----------------------------------------------------------------------------


@pytest.fixture
def both() -> Iterator[tuple[PortPeer, GrpcPeer]]:
    """One process with four workers, driven over both transports."""
    arguments = ("--transport", "stdio,grpc", "--port", "0", "--max-workers", "4")
    with (
        PortPeer(*ADAPTER, *arguments) as stdio,
        GrpcPeer(attach=stdio.ready["grpc_port"]) as grpc,
    ):
        yield stdio, grpc


def test_both_transports_share_the_workers_and_health_does_not_wait(both, meeting):
    stdio, grpc = both
    assert type(stdio.ready["grpc_port"]) is int
    ids = [stdio.request("meet", [meeting.port, str(n)]) for n in range(4)]
    for n in range(4):
        meeting.visitor(str(n))
    fifth = grpc.request("meet", [meeting.port, "fifth"])
    wait_until(lambda: stats(grpc, "queued") == 1, "the fifth to wait")
    assert check(grpc) == SERVING
    assert stats(grpc, "busy") == stats(stdio, "busy") == 4
    assert fifth not in grpc.responses
    assert "fifth" not in meeting.names()
    meeting.visitor("2").go()
    meeting.visitor("fifth").go("at last")
    assert grpc.result(fifth) == "at last"
    for n in (0, 1, 3):
        meeting.visitor(str(n)).go()
    assert [stdio.result(msgid) for msgid in ids] == ["go"] * 4
    wait_until(lambda: stats(stdio, "busy") == 0, "an idle pool")
    assert stats(stdio, "tools")["meet"]["calls"] == 5
    assert stats(grpc, "tools")["meet"]["calls"] == 5


def test_serial_calls_of_both_transports_never_overlap(both, meeting):
    stdio, grpc = both
    ids = {
        str(n): (peer := both[n % 2], peer.request("meet_alone", [meeting.port, str(n)]))
        for n in range(6)
    }
    wait_until(lambda: stats(stdio, "queued") == 5, "five to wait")
    for count in range(1, 7):
        wait_until(lambda count=count: len(meeting.names()) == count, "the next")
        assert stats(grpc, "busy") == 1
        meeting.visitor(meeting.names()[-1]).go()
    assert [peer.result(msgid) for peer, msgid in ids.values()] == [1] * 6


def test_the_end_of_stdin_ends_the_process_and_its_grpc_calls(both, meeting):
    stdio, grpc = both
    msgid = grpc.request("until_interrupted", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    stdio.close()
    assert error_of(grpc, msgid).code == "unavailable"
    assert visitor.hears(2) == "ShuttingDown unavailable True"
    assert stdio.wait() == 0


def test_a_shutdown_over_stdio_drains_grpc_too(both, meeting):
    stdio, grpc = both
    msgid = grpc.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    assert stdio.call("$/shutdown") is None
    wait_until(lambda: stats(grpc, "status") == "draining", "the drain")
    assert check(grpc) == NOT_SERVING
    assert failure(grpc, "echo", 1).code == "unavailable"
    visitor.go("ended")
    assert grpc.result(msgid) == "ended"
    assert stdio.notification("$/bye") == ["shutdown"]
    assert stdio.wait() == 0


def test_when_the_owner_is_gone_what_is_queued_over_grpc_never_begins(both, meeting):
    stdio, grpc = both
    for n in range(4):
        grpc.request("ends_when_interrupted", [meeting.port, str(n)])
        meeting.visitor(str(n))  # in flight, so that they are ended in this order
    queued = grpc.request("meet", [meeting.port, "queued"])
    wait_until(lambda: stats(stdio, "queued") == 1, "the fifth to wait")
    stdio.close()
    meeting.visitor("0").hears()  # its worker is free, before the others are interrupted
    error = error_of(grpc, queued)
    assert (error.code, error.started) == ("unavailable", False)
    for n in range(4):
        visitor = meeting.visitor(str(n))
        visitor.hears()
        visitor.go()
    assert stdio.wait() == 0
    assert "queued" not in meeting.names()


def test_a_port_in_use_is_told_to_the_peer_on_stdio_as_well(peer):
    port = str(peer.ready["grpc_port"])
    arguments = ("--transport", "stdio,grpc", "--port", port)
    with PortPeer(*ADAPTER, *arguments, wait_until_ready=False) as second:
        (error,) = second.notification("$/error")
        assert error["code"] == "failed_precondition"
        assert port in error["message"]
        assert second.wait() == 1
        with pytest.raises(TransportClosed):
            second.notification("$/ready")


def test_stdio_alone_never_imports_grpc():
    with PortPeer(*ADAPTER) as stdio:
        loaded = set(stdio.call("modules"))
        assert stdio.ready["grpc_port"] is None
    assert "bridge.transports.stdio.reader" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in ("grpc", "google")]
    assert not [name for name in loaded if name.startswith("bridge.transports.grpc.server")]


# -- what clients leave behind ------------------------------------------------------------------

CLIENT = """
import sys, grpc
from bridge._generated import bridge_pb2 as pb

address, *requests = sys.argv[1:]
channel = grpc.insecure_channel(address)
call = channel.unary_stream("/bridge.v1.Bridge/CallStream")
streams = [call(bytes.fromhex(request)) for request in requests]
print("called", flush=True)
sys.stdin.read()
"""


def stream_request(peer: GrpcPeer, tool: str, *args: Any) -> pb.CallRequest:
    return pb.CallRequest(tool=tool, params=pb.Payload(msgpack=peer.encode(list(args))))


def disappear_by_kill(peer: GrpcPeer, requests: list[pb.CallRequest], wait: Any) -> None:
    """A client process that opens streams, never reads, and is killed."""
    data = [request.SerializeToString().hex() for request in requests]
    command = [sys.executable, "-c", CLIENT, peer.address, *data]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"called\n"
        wait()
        client.kill()


def disappear_by_close(peer: GrpcPeer, requests: list[pb.CallRequest], wait: Any) -> None:
    """A client that opens streams, never reads, and closes its channel."""
    with grpc.insecure_channel(peer.address) as channel:
        call = channel.unary_stream(f"/{SERVICE}/CallStream")
        streams = [call(request.SerializeToString()) for request in requests]
        wait()
        assert not any(stream.done() for stream in streams)


@pytest.mark.parametrize("disappear", [disappear_by_kill, disappear_by_close])
def test_a_client_that_never_reads_and_disappears_leaves_nothing_behind(start, disappear):
    peer, times = start("--max-workers", "4"), 16

    def strand() -> None:
        meeting = Meeting()
        requests = [
            stream_request(peer, "sizes", meeting.port, f"items {n}", 4 * MIB) for n in range(2)
        ]
        requests.append(stream_request(peer, "notes_without_end", meeting.port, "notes"))

        def wait() -> None:
            meeting.visitor("notes").hears()
            for n in range(2):
                meeting.visitor(f"items {n}").hears()
            assert stats(peer, "busy") == 3

        try:
            disappear(peer, requests, wait)
            for n in range(2):
                assert meeting.visitor(f"items {n}").leaves()[-1] == "finally"
            meeting.visitor("notes").go()
            settle(peer)
        finally:
            meeting.close()

    strand()  # what gRPC and the pool create once
    threads, memory = peer.call("thread_count"), peer.call("memory_bytes")
    for _ in range(times):
        strand()
    # pools may have grown to their size, and gRPC's own threads end when they like
    stayed = 3 * times  # one of each stream
    wait_until(lambda: peer.call("thread_count") < threads + min(stayed, 12), "the threads to end")
    assert stats(peer, "in_flight") == 0
    # each worker keeps a buffer for the largest item; an item that stayed each time is 64 MiB
    wait_until(lambda: peer.call("memory_bytes") < memory + 48 * MIB, "the memory to be given back")


def test_a_queued_call_whose_client_disappears_never_runs(small, meeting):
    with grpc.insecure_channel(small.address) as channel:
        call = channel.unary_stream(f"/{SERVICE}/CallStream")
        streams = []
        for tool in ("tells_of_cancel", "meet"):
            request = stream_request(small, tool, meeting.port, tool)
            streams.append(call(request.SerializeToString()))
            visitor = meeting.visitor("tells_of_cancel")
        wait_until(lambda: stats(small, "queued") == 1)
    visitor.hears()  # the server knows that the client is gone
    be_heard(small)
    visitor.go()
    settle(small)
    assert meeting.names() == ["tells_of_cancel"]


def test_a_tool_that_speaks_after_its_stream_has_ended_harms_nobody(peer, meeting):
    credit = {"items": 9, "bytes": 0}
    msgid = peer.request("speaks_later", [meeting.port, "a"], stream=credit)
    assert peer.result(msgid) is None
    visitor = meeting.visitor("a")
    visitor.go()
    assert visitor.leaves() == ["spoke"]
    assert not [p for m, p in peer.notifications if m == "$/progress" and p[0] == msgid]
    assert peer.call("echo", [1]) == 1
    assert "Traceback" not in peer.stderr


def test_a_flood_is_refused_and_nobody_told_that_he_cancelled(small):
    small.kill(signal.SIGSTOP)  # so that all of it comes at once
    try:
        ids = [small.request("echo", [n]) for n in range(2000)]
    finally:
        small.kill(signal.SIGCONT)
    codes = set()
    for msgid in ids:
        try:
            small.result(msgid)
        except CallError as error:
            codes.add(error.code)
    assert codes <= {"resource_exhausted"}


def test_a_connection_that_speaks_no_http2_harms_nobody(peer):
    with socket.create_connection(("127.0.0.1", peer.ready["grpc_port"])) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(range(256)) * 100)
        connection.settimeout(PATIENCE_S)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
    assert peer.call("echo", [1]) == 1


def test_a_deadline_that_was_rounded_on_its_way_is_one_for_the_tool(patient):
    said = []
    for peer, msgid, visitor in patient:
        assert error_of(peer, msgid).code == "deadline_exceeded"
        said.append(visitor.hears(2))
    # on a busy machine a request may arrive later than what was rounded makes up for
    assert "DeadlineExceeded deadline_exceeded True" in said
