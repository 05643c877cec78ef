"""MessagePack or JSON: a call over gRPC ends alike, with the same error, and is counted alike."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from bridge._generated import bridge_pb2 as pb
from bridge.errors import CallError
from tests.processes import Processes, Shared

from .grpc_peer import GrpcPeer
from .keeping_tools import HOSTILE

ADAPTER = ("--adapter", "keeping_tools:Keeping", "--app-dir", str(Path(__file__).parent))


@pytest.fixture(scope="module")
def bridges(processes: Processes) -> Iterator[Shared[GrpcPeer]]:
    with Shared(processes, partial(GrpcPeer, *ADAPTER), lambda peer: None) as bridges:
        yield bridges


@pytest.fixture
def peer(bridges: Shared[GrpcPeer], request: pytest.FixtureRequest) -> Iterator[GrpcPeer]:
    with bridges.lend(request) as peer:
        yield peer


@pytest.fixture
def small(bridges: Shared[GrpcPeer], request: pytest.FixtureRequest) -> Iterator[GrpcPeer]:
    """One that takes small messages, with few lists and maps."""
    limits = ("--max-message-items", "10", "--max-message-bytes", "1048576")
    with bridges.lend(request, *limits) as peer:
        yield peer


def failure(peer: GrpcPeer, tool: str, params: Any, form: str, **options: Any) -> dict[str, Any]:
    """The error of a call, but for the traceback, which has lines of the form's own code."""
    if form == "JSON":
        payload = pb.Payload(json=ParseDict(params, Value()))
    else:
        payload = pb.Payload(msgpack=peer.encode(params))
    msgid = peer.send(pb.CallRequest(tool=tool, params=payload), **options)
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    wire = caught.value.to_wire()
    wire.pop("traceback", None)
    return wire


def counted(peer: GrpcPeer, tool: str) -> tuple[int, int]:
    tools = peer.call("$/stats")["tools"]
    return (tools[tool]["calls"], tools[tool]["errors"]) if tool in tools else (0, 0)


@pytest.mark.parametrize("tool", ["hostile", "hostile_stream"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_result_that_raises_is_the_same_error_in_either_form(peer, kind, tool):
    stream = {"items": 2} if tool == "hostile_stream" else None
    calls, errors = counted(peer, tool)
    plain = failure(peer, tool, [kind], "MessagePack", stream=stream)
    assert failure(peer, tool, [kind], "JSON", stream=stream) == plain
    assert plain["code"] in ("internal", "not_found")
    assert plain["started"] is True
    assert counted(peer, tool) == (calls + 2, errors + 2)


#: Less than that is not counted: it is read in no time.
FILLING = "x" * 5000


@pytest.mark.parametrize("value", [[[]] * 9, [{"a": {}}] * 5, [{}, []] * 4 + [[[]]]])
def test_lists_and_maps_are_counted_in_either_form(small, value):
    as_msgpack, as_json = (
        failure(small, "returns", [[FILLING, *value]], form) for form in ("MessagePack", "JSON")
    )
    assert as_json == as_msgpack
    assert as_json["code"] == "resource_exhausted"
    assert "10 lists and maps" in as_json["message"]


def test_the_limits_are_told(small):
    limits = small.call("$/stats")["limits"]
    assert limits == {"max_message_bytes": 1 << 20, "max_message_items": 10}


def test_as_many_lists_and_maps_as_may_be_are_taken(small):
    params = [[FILLING, *[[]] * 8]]
    message = pb.CallRequest(tool="returns", params=pb.Payload(json=ParseDict(params, Value())))
    assert small.result(small.send(message)) == {"the mark": params}


@pytest.mark.parametrize("form", ["MessagePack", "JSON"])
def test_an_answer_that_is_too_large_is_counted_as_an_error(small, form):
    calls, errors = counted(small, "too_large")
    assert failure(small, "too_large", [1, 1 << 21], form)["code"] == "resource_exhausted"
    assert counted(small, "too_large") == (calls + 1, errors + 1)
