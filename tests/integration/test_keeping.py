"""Nothing keeps the arguments or the result of a call that is over, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError
from bridge.gil import is_enabled
from bridge.testing import PortPeer
from tests.processes import Processes, Shared
from tests.waiting import wait_until

from .keeping_tools import MARK

ARGUMENTS = (
    *("--adapter", "keeping_tools:Keeping", "--app-dir", str(Path(__file__).parent)),
    *("--max-workers", "2", "--max-queue", "1", "--max-message-bytes", "1048576"),
)
VALUE = {MARK: [1]}
STREAM = {"items": 10, "bytes": 1 << 30}


def open_peer(transport: str, *arguments: str) -> PortPeer:
    if transport == "stdio":
        return PortPeer(*arguments)
    pytest.importorskip("grpc")
    from .grpc_peer import SMALLEST_WINDOW, GrpcPeer

    return GrpcPeer(*arguments, window=SMALLEST_WINDOW)


def settle(peer: PortPeer) -> None:
    wait_until(lambda: (h := peer.call("$/health"))["in_flight"] == h["busy"] == 0, "an idle pool")


@pytest.fixture(scope="module", params=["stdio", "grpc"])
def bridges(request: pytest.FixtureRequest, processes: Processes) -> Iterator[Shared[PortPeer]]:
    with Shared(processes, partial(open_peer, request.param), settle) as bridges:
        yield bridges


@pytest.fixture
def peer(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    with bridges.lend(request, *ARGUMENTS, "--max-answer-bytes", "1048576") as peer:
        yield peer


Begin = Callable[..., int]


def ask(peer: PortPeer, tool: str, *args: Any, **options: Any) -> int:
    return peer.request(tool, [VALUE, *args], **options)


def ask_in_json(peer: PortPeer, tool: str, *args: Any, **options: Any) -> int:
    from google.protobuf.json_format import ParseDict
    from google.protobuf.struct_pb2 import Value

    from bridge._generated import bridge_pb2 as pb

    params = pb.Payload(json=ParseDict([VALUE, *args], Value()))
    return peer.send(pb.CallRequest(tool=tool, params=params), **options)


def outcome(peer: PortPeer, msgid: int) -> str:
    """The code of the error, or "ok"."""
    try:
        peer.result(msgid)
    except CallError as error:
        return error.code
    return "ok"


def progress(peer: PortPeer, msgid: int) -> bool:
    return any(method == "$/progress" and p[0] == msgid for method, p in list(peer.notifications))


def begun(peer: PortPeer, begin: Begin, tool: str, busy: int = 1, **options: Any) -> int:
    """A call whose tool has begun: it has told of progress, or so many workers are busy."""
    if busy == 1:
        settle(peer)
    msgid = begin(peer, tool, **options)
    # async tools occupy no worker
    sign = "in_flight" if tool.startswith("async") else "busy"
    wait_until(
        lambda: progress(peer, msgid) or peer.call("$/health")[sign] == busy, "the tool's begin"
    )
    return msgid


def cancelled(peer: PortPeer, begin: Begin, tool: str, **options: Any) -> str:
    msgid = begun(peer, begin, tool, **options)
    peer.cancel(msgid)
    return outcome(peer, msgid)


def cancelled_in_the_queue(peer: PortPeer, begin: Begin) -> str:
    held = [begun(peer, begin, "checks", busy) for busy in (1, 2)]
    queued = begin(peer, "returns")
    wait_until(lambda: peer.call("$/health")["queued"] == 1, "a queue")
    refused = begin(peer, "returns")
    codes = {outcome(peer, refused)}
    for msgid in queued, *held:
        peer.cancel(msgid)
        codes.add(outcome(peer, msgid))
    return " ".join(sorted(codes))


def call(tool: str, *args: Any, **options: Any) -> Callable[[PortPeer, Begin], str]:
    return lambda peer, begin: outcome(peer, begin(peer, tool, *args, **options))


ENDS: dict[str, tuple[str, Callable[[PortPeer, Begin], str]]] = {
    "returns": ("ok", call("returns")),
    "returns, serial": ("ok", call("returns_alone")),
    "returns, with a callback": ("ok", call("watches")),
    "no such tool": ("not_found", call("no_such_tool")),
    "refused arguments": ("invalid_argument", call("returns", 2)),
    "streams unasked": ("invalid_argument", call("stream")),
    "refused by the queue, cancelled in it": (
        "cancelled resource_exhausted",
        cancelled_in_the_queue,
    ),
    "raises": ("internal", call("raises")),
    "raises from another": ("internal", call("raises_from")),
    "raises what it has": ("not_found", call("raises_the_same")),
    "exits": ("internal", call("exits")),
    "result without a form": ("internal", call("unencodable")),
    "result that raises": ("internal", call("broken")),
    "result that exits": ("internal", call("broken_for_good")),
    "result too large": ("resource_exhausted", call("too_large", 2 << 20)),
    "cancelled, and looks": ("cancelled", lambda p, b: cancelled(p, b, "checks")),
    "cancelled, and returns": ("cancelled", lambda p, b: cancelled(p, b, "ends_in_time")),
    "out of time, and looks": ("deadline_exceeded", call("checks", timeout_ms=50)),
    "out of time, and returns": ("deadline_exceeded", call("ends_in_time", timeout_ms=50)),
    "async": ("ok", call("async_returns")),
    "async, raises": ("internal", call("async_raises")),
    "async, cancelled": ("cancelled", lambda p, b: cancelled(p, b, "async_waits")),
    "async, out of time": ("deadline_exceeded", call("async_waits", timeout_ms=50)),
    "stream": ("ok", call("stream", stream=STREAM)),
    "stream, raises": ("internal", call("stream_raises", stream=STREAM)),
    "stream, item without a form": ("internal", call("stream_unencodable", stream=STREAM)),
    "stream, cancelled": (
        "cancelled",
        lambda p, b: cancelled(p, b, "stream_waits", stream={"items": 2, "bytes": 1 << 30}),
    ),
    "async stream": ("ok", call("async_stream", stream=STREAM)),
    "async stream, raises": ("internal", call("async_stream_raises", stream=STREAM)),
    "async stream, cancelled": (
        "cancelled",
        lambda p, b: cancelled(p, b, "async_stream_waits", stream=STREAM),
    ),
}


#: By what the tool does itself.
LEAD_TO_THEMSELVES = ("raises from another", "result that raises", "result that exits")


@pytest.mark.parametrize("form", ["MessagePack", "JSON"])
@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_kept_of_a_call_that_is_over(peer, end, form):
    if form == "JSON" and not hasattr(peer, "unary"):
        pytest.skip("stdio has one form")
    begin = ask if form == "MessagePack" else ask_in_json
    if not is_enabled() and end in LEAD_TO_THEMSELVES:
        pytest.skip("frames are not emptied where others may run them")
    code, run = ENDS[end]
    peer.call("begin")
    for _ in range(2):
        assert run(peer, begin) == code
    settle(peer)  # over gRPC a cancelled call ends for its caller first
    wait_until(lambda: peer.call("kept") == 0, "memory to be given back")
