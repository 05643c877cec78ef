"""Tables, arrays and own types, over each transport, to processes that are as users start them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.errors import CallError
from bridge.testing import PortPeer
from tests.processes import Processes, Shared

ADAPTER = ("--adapter", "value_tools:Tools", "--app-dir", str(Path(__file__).parent))


NO_TABLES = "a client that takes no tables"


def open_peer(transport: str, *arguments: str) -> PortPeer:
    tables = NO_TABLES not in arguments
    if transport == "stdio":
        return PortPeer(*ADAPTER, tables=tables)
    pytest.importorskip("grpc")
    from .grpc_peer import GrpcPeer

    return GrpcPeer(*ADAPTER, tables=tables)


@pytest.fixture(params=["stdio", "grpc"], scope="module")
def bridges(request: pytest.FixtureRequest, processes: Processes) -> Iterator[Shared[PortPeer]]:
    with Shared(processes, partial(open_peer, request.param), lambda peer: None) as bridges:
        yield bridges


@pytest.fixture
def peer(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    with bridges.lend(request) as peer:
        yield peer


@pytest.fixture
def old_peer(bridges: Shared[PortPeer], request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    """A client that does not know tables."""
    with bridges.lend(request, NO_TABLES) as peer:
        yield peer


def error_of(peer: PortPeer, tool: str, *args: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        peer.call(tool, list(args))
    return caught.value


def test_nothing_is_loaded_for_those_who_send_none(old_peer: PortPeer) -> None:
    assert old_peer.call("loaded") == []


def test_tables_travel_both_ways(peer: PortPeer) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"n": [1, None], "text": ["a", "ä"]})
    assert peer.call("echo", [table]).equals(table)
    assert peer.call("echo", [{"deep": [table, 1]}])["deep"][0].equals(table)
    assert peer.call("described", [table]) == ["pyarrow", table.to_pydict()]
    large = peer.call("table", [100_000])
    assert (large.num_rows, large.column("n")[99_999].as_py()) == (100_000, 99_999)
    assert peer.call("echo", [large]).equals(large)


def test_batches_are_items(peer: PortPeer) -> None:
    pytest.importorskip("pyarrow")
    for tool in ("batches", "reader"):
        items = list(peer.stream(tool, [3]))
        assert [item.to_pydict() for item in items] == [{"n": [0]}, {"n": [1]}, {"n": [2]}]


def test_who_takes_no_tables_gets_none(old_peer: PortPeer) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    error = error_of(old_peer, "table", 1)
    assert (error.code, error.type) == ("internal", "bridge.errors.EncodeError")
    assert "takes no tables" in error.message
    assert "to_pylist()" in error.message
    # what it sends is another matter
    assert old_peer.call("described", [pyarrow.table({"n": [1]})]) == ["pyarrow", {"n": [1]}]


def test_bytes_that_are_no_table_are_the_error_of_their_call(
    peer: PortPeer,
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from msgpack import ExtType

    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"n": pyarrow.nulls(10**9)})
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    for data, code in (
        (b"no table", "invalid_argument"),
        (sink.getvalue().to_pybytes(), "resource_exhausted"),
    ):
        error = error_of(peer, "echo", ExtType(3, data))
        assert (error.code, "table" in error.message) == (code, True)
    assert peer.call("echo", [1]) == 1


def test_own_types_have_the_form_that_the_adapter_gives_them(
    peer: PortPeer,
) -> None:
    assert peer.call("sum", [{"cents": 1}, [{"cents": 2}, {"cents": 3}]]) == {"cents": 6}
    assert peer.call("labels") == [["a"], {"B": ["c"]}]
    error = error_of(peer, "sum", {"cents": 1}, [{"cents": 2}, {}])
    assert (error.code, error.started) == ("invalid_argument", False)
    assert error.message == "sum: the argument 'others': at [1]: KeyError: 'cents'"


def test_a_tool_may_write_to_its_arrays_if_it_says_so(peer: PortPeer) -> None:
    assert peer.call("raised", [np.arange(3)]).tolist() == [1, 2, 3]


def test_a_generator_that_is_returned_names_the_way_out(peer: PortPeer) -> None:
    message = error_of(peer, "forgot_to_stream").message
    assert "result cannot be encoded: no form on the wire for builtins.generator" in message
    assert "yield its items in the tool, or say @tool(stream=True)" in message


def test_json_has_the_rows_of_a_table() -> None:
    pytest.importorskip("grpc")
    pytest.importorskip("pyarrow")
    from google.protobuf.json_format import MessageToDict, ParseDict
    from google.protobuf.struct_pb2 import Value

    from bridge._generated import bridge_pb2 as pb

    from .grpc_peer import GrpcPeer

    with GrpcPeer(*ADAPTER) as peer:
        params = pb.Payload(json=ParseDict([2], Value()))
        reply = peer.unary("Call", pb.CallResponse)(pb.CallRequest(tool="table", params=params))
        assert MessageToDict(reply.result.json) == [{"n": 0, "text": "ä"}, {"n": 1, "text": "ä"}]
