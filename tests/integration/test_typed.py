"""Annotations hold over every transport, for every kind of tool."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError, InvalidParams, TransportClosed
from bridge.testing import PortPeer
from tests.processes import put_away

pytest.importorskip("msgspec", reason="the extra typed is not here")

HERE = str(Path(__file__).parent)
ITEM = {"name": "n", "price": "1.5", "data": "abcd", "parts": [{"name": "p", "price": 2}]}
SHOWN = (
    "Item(name='n', price=Decimal('1.5'), data=b'abcd', parts=[Item(name='p', "
    "price=Decimal('2'), data=b'', parts=[])])"
)


def open_peer(transport: str, adapter: str) -> PortPeer:
    arguments = ("--adapter", f"typed_tools:{adapter}", "--app-dir", HERE, "--max-workers", "4")
    if transport == "stdio":
        return PortPeer(*arguments)
    pytest.importorskip("grpc")
    from .grpc_peer import GrpcPeer

    return GrpcPeer(*arguments)


@pytest.fixture(scope="module", params=["stdio", "grpc"])
def peer(request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    peer = open_peer(request.param, "Typed")
    yield peer
    put_away(peer)


@pytest.fixture(scope="module", params=["stdio", "grpc"])
def plain(request: pytest.FixtureRequest) -> Iterator[PortPeer]:
    peer = open_peer(request.param, "Plain")
    yield peer
    put_away(peer)


def refused(peer: PortPeer, tool: str, params: Any, **options: Any) -> CallError:
    with pytest.raises(InvalidParams) as caught:
        peer.result(peer.request(tool, params, **options))
    assert caught.value.started is False
    assert caught.value.traceback is None
    return caught.value


def test_arguments_become_what_is_annotated(peer: PortPeer) -> None:
    assert peer.call("show", [ITEM, "red", {1: 2}]) == f"{SHOWN} <Color.RED: 'red'> {{1: 2.0}}"
    assert peer.call("show", {"item": ITEM}) == f"{SHOWN} None None"
    assert peer.call("raw", ["abcd", b"text"]) == "b'abcd' 'text'"
    assert peer.call("raw", [b"\xff"]) == "b'\\xff' ''"
    assert peer.call("total", [[1, 2, 3.5]]) == 6.5
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert peer.call("later", [noon, 1.5]) == noon.replace(second=1, microsecond=500000)
    assert peer.call("free", ["green"]) == "'green'"


@pytest.mark.parametrize("tool", ["soon", "alone", "ended", "waits"])
def test_every_kind_of_tool(peer: PortPeer, tool: str) -> None:
    suffix = " waits" if tool == "waits" else ""
    assert peer.call(tool, ["red"]) == f"<Color.RED: 'red'>{suffix}"
    assert peer.call(tool, {"color": "blue"}) == f"<Color.BLUE: 'blue'>{suffix}"
    error = refused(peer, tool, ["green"])
    assert f"{tool}: color: Invalid enum value 'green'" in error.message
    assert error.details == {"parameter": "color", "path": "color"}


@pytest.mark.parametrize("tool", ["items", "soon_items"])
def test_streams(peer: PortPeer, tool: str) -> None:
    assert list(peer.stream(tool, [["red", "blue"]])) == [
        "<Color.RED: 'red'>",
        "<Color.BLUE: 'blue'>",
    ]
    credit = {"items": 5, "bytes": 1 << 20}
    assert refused(peer, tool, [["red", 5]], stream=credit).details == {
        "parameter": "colors",
        "path": "colors[1]",
    }


def test_a_refusal_has_its_path_and_one_answer(peer: PortPeer) -> None:
    wrong = {**ITEM, "parts": [{"name": "p", "price": "much"}]}
    error = refused(peer, "show", [wrong])
    assert "show: item.parts[0].price: Invalid decimal string" in error.message
    assert error.details == {"parameter": "item", "path": "item.parts[0].price"}
    assert peer.call("raw", ["x"]) == "b'x' ''"
    stats = peer.call("$/stats")
    assert stats["in_flight"] == 0
    assert stats["tools"]["show"]["errors"] >= 1


def test_tools_that_have_become_quick_are_checked_all_the_same(peer: PortPeer) -> None:
    for _ in range(30):
        assert peer.call("raw", ["x"]) == "b'x' ''"
    assert refused(peer, "raw", [5]).details == {"parameter": "data", "path": "data"}
    assert peer.call("raw", ["y"]) == "b'y' ''"


def test_without_validate_bytes_are_bytes_and_text_is_text(plain: PortPeer) -> None:
    assert plain.call("raw", ["abcd", b"text", 5]) == "b'abcd' 'text' 5"
    assert plain.call("raw", {"data": "añ", "text": b""}) == "b'a\\xc3\\xb1' '' 0"
    assert plain.call("soon", ["x"]) == "b'x'"
    assert list(plain.stream("items", [[], "x"])) == ["b'x'"]
    assert "byte 0 is 0xff" in refused(plain, "raw", ["", b"\xff"]).message
    assert "n must be int, got str" in refused(plain, "raw", ["", "", "five"]).message
    assert "parts must be list[str], got str" in (
        refused(plain, "items", ["x", ""], stream={"items": 1, "bytes": 99}).message
    )


def test_json_over_grpc() -> None:
    pytest.importorskip("grpc")
    import grpc
    from google.protobuf.json_format import MessageToDict, ParseDict

    from bridge._generated import bridge_pb2 as pb

    peer = open_peer("grpc", "Typed")
    try:
        call = peer.unary("Call", pb.CallResponse)  # type: ignore[attr-defined]

        def ask(tool: str, params: Any) -> Any:
            message = {"tool": tool, "params": {"json": params}}
            answer = call(ParseDict(message, pb.CallRequest()), timeout=30)
            return MessageToDict(answer)["result"]["json"]

        assert ask("show", [ITEM, "red", {"1": 2}]) == f"{SHOWN} <Color.RED: 'red'> {{1: 2.0}}"
        assert ask("raw", {"data": "abcd"}) == "b'abcd' ''"
        assert ask("total", [[1, 2]]) == 3.0
        assert ask("later", ["2026-11-28T12:00:00Z", 60]) == "2026-11-28T12:01:00+00:00"
        with pytest.raises(grpc.RpcError) as caught:
            ask("show", {"item": ITEM, "color": "green"})
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "show: color: Invalid enum value 'green'" in caught.value.details()
    finally:
        put_away(peer)


def test_snakepit(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    from .snakepit_peer import PythonError, Snakepit

    shutil.copy(Path(HERE) / "typed_tools.py", tmp_path)
    adapter = ("--adapter", "typed_tools.Typed")
    with Snakepit((0, 11, 0), *adapter, directory=tmp_path) as snakepit:
        assert snakepit.call("show", {"item": ITEM, "color": "red"}).startswith(SHOWN)
        assert snakepit.call("raw", {"data": "abcd"}) == "b'abcd' ''"
        with pytest.raises(PythonError, match="color: Invalid enum value 'green'"):
            snakepit.call("soon", {"color": "green"})


def test_what_cannot_be_validated_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "wrong_tools.py").write_text(
        "from bridge import ThreadSafeAdapter, tool\n"
        "class Tools(ThreadSafeAdapter, validate=True):\n"
        "    @tool\n"
        "    def pay(self, amount: 'Decimal'): ...\n"
    )
    with pytest.raises(TransportClosed) as caught:
        PortPeer("--adapter", "wrong_tools:Tools", "--app-dir", str(tmp_path))
    assert "wrong_tools:Tools: pay: the parameter 'amount' cannot be validated" in str(caught.value)


def test_the_schema_of_what_a_tool_takes(peer: PortPeer) -> None:
    tools = {tool["name"]: tool for tool in peer.call("$/tools")}
    show = tools["show"]["schema"]
    assert show["required"] == ["item"]
    assert show["properties"]["item"] == {"$ref": "#/$defs/Item"}
    assert show["$defs"]["Item"]["required"] == ["name", "price"]
    assert show["$defs"]["Item"]["properties"]["data"] == {"type": "string", "format": "binary"}
    assert tools["items"]["returns"] == {"type": "array", "items": {"type": "string"}}
    assert tools["later"]["returns"] == {"type": "string", "format": "date-time"}
