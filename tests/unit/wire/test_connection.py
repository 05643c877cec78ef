"""connection.py: one response per request, credit, faults, and the same events for any chunks."""

from __future__ import annotations

import re
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CallError, Cancelled, EncodeError, LocalProtocolError, ToolFailed
from bridge.testing import ConnectionPair, describe
from bridge.testing.connection_pair import frame
from bridge.wire import connection as connection_module
from bridge.wire.codec import Encoder
from bridge.wire.connection import CLOSED, DRAINING, OPEN, TRANSITIONS, Connection, Fault
from bridge.wire.messages import CallOptions, Notification, Request, Response
from bridge.wire.shared import PLACE_HEAD
from tests.equality import deep_equal
from tests.strategies import chunks, messages
from tests.wire_messages import encode_message

ENCODER = Encoder()


@pytest.fixture
def pair() -> ConnectionPair:
    return ConnectionPair()


def faults(events: list[Any]) -> list[tuple[Any, str, bool]]:
    """Of each event, which must be a fault: the id, the code, and whether it ends a request."""
    return [(event.msgid, event.error.code, event.in_flight) for event in events]


# -- requests and responses -----------------------------------------------------------------------


def test_a_request_is_an_event_and_is_answered(pair: ConnectionPair) -> None:
    assert pair.request(1, "add", [1, 2]) == [Request(1, "add", [1, 2])]
    assert pair.result(1, 3) == Response(1, None, 3)


def test_a_request_keeps_its_options(pair: ConnectionPair) -> None:
    (request,) = pair.request(1, "add", {"x": 1}, timeout_ms=50, session="s")
    assert request == Request(1, "add", {"x": 1}, CallOptions(timeout_s=0.05, session="s"))


def test_what_is_noted_of_one_request_is_not_noted_of_another_with_the_same_timeout() -> None:
    connection = Connection(1 << 20)
    lent, other = (
        frame(prefix + msgpack.packb([0, msgid, "add", [], {"timeout_ms": 5000}]))
        for msgid, prefix in ((1, PLACE_HEAD + bytes(24)), (2, b""))
    )
    (received,) = connection.receive_data(lent)
    received.what.options.lent = "what it has in shared memory"
    (request,) = connection.receive_data(other)
    assert request.options.lent is None
    assert received.what.options.timeout_s == request.options.timeout_s == 5.0


def test_requests_are_answered_in_any_order(pair: ConnectionPair) -> None:
    for msgid in (1, 2, 3):
        pair.request(msgid)
    assert [pair.result(msgid, msgid).msgid for msgid in (2, 3, 1)] == [2, 3, 1]


def test_there_is_no_second_response(pair: ConnectionPair) -> None:
    """Whatever the two are, the second one is a bug of ours."""
    answers = [lambda: pair.result(1), lambda: pair.error(1, Cancelled("stop"))]
    for first in answers:
        for second in answers:
            pair.request(1)
            first()
            with pytest.raises(LocalProtocolError, match="second response to request 1"):
                second()


def test_there_is_no_response_without_a_request(pair: ConnectionPair) -> None:
    with pytest.raises(LocalProtocolError):
        pair.result(1)


def test_an_id_is_free_after_the_response(pair: ConnectionPair) -> None:
    for answer in range(3):
        assert pair.request(1) == [Request(1, "tool", [])]
        assert pair.result(1, answer) == Response(1, None, answer)


def test_an_id_in_flight_is_a_fault_and_the_first_request_goes_on(pair: ConnectionPair) -> None:
    """Answering under the id would end the first request instead of the second."""
    pair.request(1)
    (fault,) = pair.request(1, "other")
    assert faults([fault]) == [(None, "already_exists", False)]
    message = pair.fault(fault)
    assert message.method == "$/error"
    assert message.params[0]["details"] == {"id": 1}
    assert pair.result(1, "first") == Response(1, None, "first")


def test_a_result_without_a_form_leaves_the_request_in_flight(pair: ConnectionPair) -> None:
    pair.request(1)
    with pytest.raises(EncodeError, match=r"result\.x cannot be encoded"):
        pair.result(1, {"x": object()})
    assert pair.error(1, ToolFailed("no form")).error["code"] == "internal"


def test_half_characters_in_an_error_are_escaped(pair: ConnectionPair) -> None:
    pair.request(1)
    error = ToolFailed("bad \ud800", traceback=["line \udfff"], started=True)
    assert pair.error(1, error).error == {
        "code": "internal",
        "message": "bad \\ud800",
        "traceback": ["line \\udfff"],
        "started": True,
    }


def test_values_outlive_the_buffer_that_brought_them(pair: ConnectionPair) -> None:
    """The next frame overwrites the buffer, but neither bytes nor arrays."""
    params = ["text", b"\xff" * 50, np.arange(10)]
    (request,) = pair.request(1, params=params)
    pair.request(2, params=[b"\0" * 300])
    assert deep_equal(request.params, params)


# -- cancel -----------------------------------------------------------------------------------------


def test_cancel_of_a_request_in_flight_is_an_event(pair: ConnectionPair) -> None:
    """The request stays in flight: it still gets its response."""
    pair.request(1)
    assert list(map(describe, pair.notify("$/cancelRequest", 1))) == [("cancel", 1)]
    assert pair.error(1, Cancelled("stop")).error["code"] == "cancelled"


def test_cancel_of_an_unknown_request_is_ignored(pair: ConnectionPair) -> None:
    """It may have been answered just before."""
    pair.request(1)
    pair.result(1)
    assert pair.notify("$/cancelRequest", 1) == []
    assert pair.notify("$/cancelRequest", 2) == []
    assert pair.notify("$/cancelRequest", 10**5000) == []


@pytest.mark.parametrize("params", [[], [1, 2], ["1"], [None], [1.0], [True], {"id": 1}, [[1]]])
@pytest.mark.parametrize("method", ["$/cancelRequest", "$/credit"])
def test_wrong_parameters_are_a_fault(pair: ConnectionPair, method: str, params: Any) -> None:
    pair.request(1)
    events = pair.send(ENCODER.value([2, method, params]))
    assert faults(events) == [(None, "invalid_argument", False)]


# -- faults -----------------------------------------------------------------------------------------

UNDECODABLE = {
    "an empty frame": (b"", None),
    "no array": (b"\x01", None),
    "a byte after the message": (ENCODER.request(7, "a", []) + b"\0", 7),
    "a format byte that is never used": (b"\x94\x00\x07\xc1", 7),
    "cut off within the id": (b"\x94\x00\xcd\x01", None),
    "an unknown type": (ENCODER.value([3, 7, "a", []]), None),
    "an unknown shape": (ENCODER.value([0, 7]), None),
    "an unknown option": (ENCODER.request(7, "a", [], {"x": 1}), 7),
    "params that are none": (ENCODER.value([0, 7, "a", 1]), 7),
    "a notification that names a tool": (ENCODER.notification("tool", [1]), None),
    "a response": (ENCODER.result(7, 1), None),
    "a response with a huge id": (ENCODER.result(10**5000, 1), None),
    "a huge number as type": (ENCODER.value([10**5000, 7, "a", []]), None),
    "a tensor as type": (ENCODER.value([np.zeros(2), 7, "a", []]), None),
}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_a_fault_is_answered_and_the_next_request_is_read(pair: ConnectionPair, name: str) -> None:
    payload, msgid = UNDECODABLE[name]
    fault, request = pair.send(payload, ENCODER.request(8, "next", []))
    assert faults([fault]) == [(msgid, "invalid_argument", False)]
    assert request == Request(8, "next", [])
    answer = pair.fault(fault)
    if msgid is None:
        assert isinstance(answer, Notification)
        assert (answer.method, answer.params[0]["code"]) == ("$/error", "invalid_argument")
    else:
        assert (answer.msgid, answer.error["code"]) == (msgid, "invalid_argument")
        assert answer.error["started"] is False


def test_a_refused_request_is_not_in_flight(pair: ConnectionPair) -> None:
    """Its id is free at once, and answering its fault ends nothing."""
    (fault,) = pair.request(7, unknown=1)
    pair.fault(fault)
    assert pair.request(7) == [Request(7, "tool", [])]


def test_a_fault_under_an_id_in_flight_does_not_end_that_request(pair: ConnectionPair) -> None:
    pair.request(7)
    assert faults(pair.request(7, unknown=1)) == [(None, "already_exists", False)]
    assert pair.result(7) == Response(7)


def test_an_oversized_request_is_refused_under_its_id() -> None:
    pair = ConnectionPair(max_message_bytes=50)
    fault, request = pair.send(ENCODER.request(7, "a", [b"x" * 100]), ENCODER.request(8, "b", []))
    assert faults([fault]) == [(7, "resource_exhausted", False)]
    assert "the limit is 50" in pair.fault(fault).error["message"]
    assert request == Request(8, "b", [])


def test_an_oversized_notification_is_refused_without_an_id() -> None:
    pair = ConnectionPair(max_message_bytes=50)
    (fault,) = pair.notify("a", "x" * 100)
    assert faults([fault]) == [(None, "resource_exhausted", False)]
    assert pair.fault(fault).method == "$/error"


def test_unknown_notifications_of_the_protocol_are_ignored(pair: ConnectionPair) -> None:
    """A newer peer may send them."""
    assert pair.notify("$/future", 1) == []
    assert pair.send(ENCODER.value([2, "$/", {}])) == []


def test_a_fault_stays_short(pair: ConnectionPair) -> None:
    """Whatever the peer sent, the answer is not a copy of it."""
    for payload in (
        ENCODER.notification("x" * 100_000, []),
        ENCODER.request(1, "a", [], {"x" * 100_000: 1}),
    ):
        (fault,) = pair.send(payload)
        assert len(str(fault.error)) < 300


# -- states -----------------------------------------------------------------------------------------


def test_the_states_follow_the_table() -> None:
    assert {(OPEN, DRAINING), (OPEN, CLOSED), (DRAINING, CLOSED)} == TRANSITIONS
    for path in ([], ["drain"], ["drain", "drain"]):
        connection = Connection(1000)
        assert connection.state == OPEN
        for step in path:
            getattr(connection, step)()
            assert connection.state == DRAINING
        connection.close()
        assert connection.state == CLOSED
        with pytest.raises(LocalProtocolError, match="from closed to closed"):
            connection.close()
        connection.drain()
        assert connection.state == CLOSED


def test_draining_still_answers(pair: ConnectionPair) -> None:
    pair.request(1)
    pair.connection.drain()
    assert pair.result(1, "late") == Response(1, None, "late")


def test_the_repr_says_how_things_stand(pair: ConnectionPair) -> None:
    pair.request(1)
    pair.request(2)
    pair.connection.drain()
    assert repr(pair.connection) == "<Connection draining, 2 in flight>"


# -- chunks -----------------------------------------------------------------------------------------


@given(st.lists(messages() | st.binary(max_size=20), max_size=8), st.data())
def test_any_chunks_give_the_same_events(sent: list[Any], data: st.DataObject) -> None:
    """Messages of all types, duplicates, garbage and oversized frames, cut anywhere."""
    payloads = [
        message if isinstance(message, bytes) else encode_message(message) for message in sent
    ]
    stream = b"".join(map(frame, payloads))
    whole = Connection(100).receive_data(stream)
    connection = Connection(100)
    cut = [event for part in data.draw(chunks(stream)) for event in connection.receive_data(part)]
    assert deep_equal(list(map(describe, cut)), list(map(describe, whole)))
    # every frame means one event; only notifications may mean none
    assert len(whole) >= sum(not isinstance(message, Notification) for message in sent)


@pytest.mark.parametrize(
    ("raised", "code"), [(OSError("odd"), "internal"), (MemoryError(), "resource_exhausted")]
)
@pytest.mark.parametrize("place", ["decode_message", "Credit"])
def test_a_fault_of_ours_while_a_message_is_read_concerns_no_other(
    place: str, raised: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> Any:
        raise raised

    monkeypatch.setattr(connection_module, place, fail)
    subject = Connection(1 << 20)
    request = frame(Encoder().request(1, "count", [], {"stream": {"items": 1, "bytes": 1}}))
    (fault,) = subject.receive_data(request)
    assert isinstance(fault, Fault)
    assert (fault.msgid, fault.error.code) == (1, code)
    monkeypatch.undo()
    (event,) = subject.receive_data(request)
    assert isinstance(event, Request)


class Leaving:
    """Ends the process when it is shown or made plain."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    def model_dump(self) -> Any:
        raise SystemExit(4)


@pytest.mark.parametrize(
    ("details", "described"),
    [
        ({"at": Leaving(), "n": 1}, {"at": "a Leaving that cannot be shown", "n": 1}),
        ({Leaving(): 1}, {"a Leaving that cannot be shown": 1}),
        (Leaving(), {"details": "a Leaving that cannot be shown"}),
        ({"at": "caf\udce9"}, {"at": "caf\\udce9"}),
    ],
)
def test_of_an_error_only_details_that_cannot_travel_are_described(
    pair: ConnectionPair, details: Any, described: Any
) -> None:
    pair.request(1, "add")
    error = CallError("no such point", code="aborted", details=details)
    assert pair.error(1, error) == Response(
        1, {"code": "aborted", "message": "no such point", "details": described}
    )


def test_of_details_that_are_long_the_beginning_is_sent(pair: ConnectionPair) -> None:
    pair.request(1, "add")
    details = {str(number): "x" * 1000 for number in range(2000)}
    answer = pair.error(1, CallError("why", details=details))
    assert isinstance(answer, Response)
    assert answer.error is not None
    assert answer.error["details"].items() >= {"0": "x" * 1000, "…": "… (1900 more)"}.items()
    assert len(repr(answer.error)) < 1 << 20


@pytest.mark.parametrize("what", ["message", "traceback", "type"])
def test_an_error_is_as_long_as_a_person_reads(pair: ConnectionPair, what: str) -> None:
    pair.request(1, "add")
    long = "x" * (20 << 20)
    error = CallError("why")
    setattr(error, what, [long] * 1000 if what == "traceback" else long)
    answer = pair.error(1, error)
    assert isinstance(answer, Response)
    assert answer.error is not None
    assert len(repr(answer.error)) < 1 << 17
    assert "more bytes)" in repr(answer.error[what])
    assert what != "traceback" or re.match(r"… \(\d+ more lines\)", answer.error[what][0])


def test_a_message_that_is_no_text_becomes_text(pair: ConnectionPair) -> None:
    pair.request(1, "add")
    answer = pair.error(1, CallError(Leaving()))  # type: ignore[arg-type]
    assert answer == Response(1, {"code": "internal", "message": "a Leaving that cannot be shown"})
