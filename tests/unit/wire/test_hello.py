"""hello.py: what a peer says that it takes, and who heeds it."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.testing import ConnectionPair
from bridge.testing.connection_pair import frame
from bridge.wire import Encoder, Fault, HelloReceived
from bridge.wire.connection import Connection


def hello(*params: Any) -> bytes:
    return frame(Encoder().notification("$/hello", list(params)))


def receive(*params: Any) -> Any:
    (event,) = Connection(1 << 20).receive_data(hello(*params))
    return event


def test_what_a_peer_takes_is_an_event() -> None:
    event = receive({"max_answer_bytes": 2048, "signals": True})
    assert isinstance(event, HelloReceived)
    assert (event.hello.max_answer_bytes, event.hello.signals) == (2048, True)


def test_a_peer_that_says_nothing_of_it_takes_what_every_version_sends() -> None:
    event = receive({"client": "elixir", "of a later version": [1]})
    assert (event.hello.max_answer_bytes, event.hello.signals) == (None, False)


@pytest.mark.parametrize(
    "params",
    [
        [],
        [1],
        [{}, {}],
        [{"max_answer_bytes": 1023}],
        [{"max_answer_bytes": "much"}],
        [{"max_answer_bytes": True}],
        [{"signals": 1}],
        [{"plain_streams": None}],
        [{"batches": 1}],
        [{"extensions": ["3"]}],
        [{"types": "shop.Order"}],
        [{"types": [b"shop.Order\xff"]}],
        [{"types": [1]}],
        [{"queue_times": 1}],
    ],
)
def test_what_is_malformed_is_a_fault_of_no_request(params: list[Any]) -> None:
    event = receive(*params)
    assert isinstance(event, Fault)
    assert (event.msgid, event.error.code) == (None, "invalid_argument")
    assert "$/hello" in str(event.error)


def test_a_hello_ends_no_request() -> None:
    pair = ConnectionPair()
    pair.request(1)
    assert isinstance(pair.connection.receive_data(hello({}))[0], HelloReceived)
    assert pair.result(1, 2).result == 2
