"""What others build on in ``ConnectionPair``; ``test_connection.py`` uses the rest."""

from __future__ import annotations

import pytest

from bridge.errors import CallError, LocalProtocolError
from bridge.testing import ConnectionPair, describe
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.framing import FrameDecoder
from bridge.wire.messages import CallOptions, Notification, Request, Response


def read_frames(data: bytes) -> list[object]:
    """The messages in whole frames, as a client's own parser reads them."""
    decoder, messages = FrameDecoder(1 << 30), []
    while data:
        buffer = decoder.get_buffer()
        count = min(len(buffer), len(data))
        buffer[:count], data = data[:count], data[count:]
        messages += map(decode_message, decoder.buffer_updated(count))
    return messages


def test_bytes_of_a_client_arrive_in_pieces_of_any_size():
    data = b"".join(
        len(payload).to_bytes(4, "big") + payload
        for payload in (
            Encoder().request(1, "add", [1, 2], {"timeout_ms": 50}),
            Encoder().notification("$/cancelRequest", [1]),
        )
    )
    pair = ConnectionPair()
    found = [event for at in range(len(data)) for event in pair.receive(data[at : at + 1])]
    assert found == pair.events
    assert list(map(describe, found)) == [
        Request(1, "add", [1, 2], CallOptions(timeout_s=0.05)),
        ("cancel", 1),
    ]


def test_what_the_bridge_sends_can_be_taken_as_bytes():
    pair = ConnectionPair()
    pair.request(1)
    credit = pair.stream(2, items=1, bytes=100)
    (fault,) = pair.notify("add", 1)
    sent = [
        pair.notification("$/ready", {"protocol": 1}),
        pair.item(2, credit, "item"),
        pair.result(2, "end"),
        pair.error(1, CallError("no", code="aborted")),
        pair.fault(fault),
    ]
    assert read_frames(pair.take_bytes()) == sent
    assert sent[:4] == [
        Notification("$/ready", [{"protocol": 1}]),
        Notification("$/item", [2, "item"]),
        Response(2, None, "end"),
        Response(1, {"code": "aborted", "message": "no"}),
    ]
    assert describe(fault)[:3] == ("fault", None, "invalid_argument")
    assert pair.take_bytes() == b""


def test_large_data_travels_whole():
    pair = ConnectionPair()
    credit = pair.stream(1, items=1, bytes=1)
    sent = [pair.item(1, credit, bytes(1 << 20)), pair.result(1, [b"x" * 100_000])]
    assert sent[0].params[1] == bytes(1 << 20)
    assert read_frames(pair.take_bytes()) == sent


def test_what_was_refused_is_not_sent():
    pair = ConnectionPair()
    with pytest.raises(LocalProtocolError):
        pair.result(1)
    assert pair.take_bytes() == b""
