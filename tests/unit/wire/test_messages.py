"""Messages: their shapes, their options, and the id that can be made out of a wrong one."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.messages import CallOptions, Notification, Request, Response, check_credit
from bridge.wire.peeking import peek_msgid
from tests.equality import deep_equal
from tests.strategies import BOUNDARIES, message_ids, messages, tensors, wire_values
from tests.wire_messages import encode_message, read
from tests.wire_vectors import literal

# -- options ------------------------------------------------------------------------------------

GOOD = {
    "{}": CallOptions(),
    '{"timeout_ms": 0}': CallOptions(timeout_s=0.0),
    '{"timeout_ms": 50}': CallOptions(timeout_s=0.05),
    '{"timeout_ms": 0.5}': CallOptions(timeout_s=0.0005),
    '{"timeout_ms": -0.0}': CallOptions(timeout_s=0.0),
    # further than clocks can count: no deadline
    '{"timeout_ms": 2**64 - 1}': CallOptions(timeout_s=None),
    '{"session": ""}': CallOptions(session=""),
    '{"session": "s"}': CallOptions(session="s"),
    '{"metadata": {}}': CallOptions(metadata={}),
    '{"metadata": {"traceparent": "00-1"}}': CallOptions(metadata={"traceparent": "00-1"}),
    '{"stream": {"items": 0, "bytes": 0}}': CallOptions(credit=(0, 0)),
    '{"stream": {"bytes": 2**70, "items": 1}}': CallOptions(credit=(1, 2**70)),
    '{"timeout_ms": 1000, "session": "s", "metadata": {"a": "b"}, "stream": {"items": 1, "bytes": 2}}': (
        CallOptions(1.0, "s", {"a": "b"}, (1, 2))
    ),
}
NUMBERS = ["True", "False", "None", '"1"', "b'1'", "[]", "{}", "nan", "-inf", "-1", "-0.5"]
NUMBERS += ["np.zeros(2)", "-(10**5000)"]
TEXTS = ["None", "1", "True", "b'\\xff'", "[]", "{}", "np.zeros(2)"]
UNSIGNED = ["None", "True", "-1", "1.0", "nan", '"1"', "[]", "-(10**5000)", "np.uint8([1])"]
BAD = [
    *(f'{{"timeout_ms": {value}}}' for value in NUMBERS),
    *(f'{{"session": {value}}}' for value in TEXTS),
    *(f'{{"metadata": {value}}}' for value in ["None", "[]", '"text"', "1", '[["a", "b"]]']),
    *(f'{{"metadata": {{"a": {value}}}}}' for value in TEXTS),
    *(f'{{"metadata": {{{key}: "a"}}}}' for key in ["None", "1", "b'\\xff'"]),
    *(f'{{"stream": {value}}}' for value in ["None", "True", "1", "[]", "[1, 1]", "{}"]),
    *(f'{{"stream": {{"items": {value}, "bytes": 1}}}}' for value in UNSIGNED),
    *(f'{{"stream": {{"items": 1, "bytes": {value}}}}}' for value in UNSIGNED),
    '{"stream": {"items": 1}}',
    '{"stream": {"bytes": 1}}',
    '{"stream": {"items": 1, "bytes": 1, "more": 1}}',
    *(f"{{{key}: 1}}" for key in ['"timeout"', '"Session"', '""', "1", "None", "10**5000"]),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_option(text: str) -> None:
    message = decode_message(Encoder().request(1, "a", [], literal(text)))
    assert message == Request(1, "a", [], GOOD[text])


@pytest.mark.parametrize("text", BAD)
def test_a_bad_option_is_refused_with_the_id(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(Encoder().request(9, "a", [], literal(text)))
    assert (caught.value.msgid, caught.value.code) == (9, "invalid_argument")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"timeout_ms": -1}', "option 'timeout_ms' must be a number of milliseconds, 0 or more"),
        ('{"session": 1}', "option 'session' must be text, got 1"),
        ('{"metadata": {"a": 1}}', "option 'metadata' must be a map of text to text"),
        ('{"stream": {"items": 1, "bytes": -5}}', "two integers, 0 or more; bytes is -5"),
        ('{"timeout": 1}', "unknown option 'timeout'; there are timeout_ms, session"),
    ],
)
def test_the_refusal_says_what_to_do(text: str, says: str) -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape(says)):
        CallOptions.from_wire(literal(text))


@pytest.mark.parametrize("text", ['{"session": ["x" * 10**6]}', '{"x" * 10**6: 1}'])
def test_a_refusal_stays_short(text: str) -> None:
    """Whatever the peer sent, the error is not a copy of it."""
    with pytest.raises(RemoteProtocolError) as caught:
        CallOptions.from_wire(literal(text))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["10**400", "inf", "1e300"])
def test_a_timeout_beyond_all_bounds_is_refused_or_for_ever(text: str) -> None:
    """It must not stop the reader, and no clock can wait for a number of any size."""
    try:
        options = CallOptions.from_wire({"timeout_ms": literal(text)})
    except RemoteProtocolError:
        return
    assert options.timeout_s is None or options.timeout_s >= 1e297
    assert options.timeout_s is None or not math.isnan(options.timeout_s)


@given(st.integers(0), st.integers(0))
def test_credit_is_two_unsigned_integers(items: int, bytes: int) -> None:
    assert check_credit(items, bytes) == (items, bytes)


def test_messages_are_equal_if_their_fields_are() -> None:
    assert Response(1, None, [2]) == Response(1, None, [2])
    assert Response(1, None, [2]) != Response(1, None, [3])
    assert Request(1, "a", []) != Notification("a", [])
    assert repr(Notification("a", [1])) == "Notification(method='a', params=[1])"


def test_messages_cannot_be_hashed() -> None:
    """They may hold lists, and change."""
    with pytest.raises(TypeError):
        hash(Request(1, "a", []))


# -- shapes -------------------------------------------------------------------------------------


@given(messages())
def test_messages_survive(message: Any) -> None:
    assert deep_equal(decode_message(encode_message(message)), message)


def test_a_request_with_empty_options_has_options() -> None:
    with_options = decode_message(Encoder().request(1, "a", [], {}))
    assert with_options.options is not None
    assert decode_message(Encoder().request(1, "a", [])).options is None


NO_MESSAGE = r"""
    None; True; 0; 1.5; "text"; b"bytes"; {}; {0: 1}; 2**64; 10**5000; np.zeros(4)
    []; [0]; [0, 1]; [0, 1, "a"]; [0, 1, "a", [], {}, {}]
    [1]; [1, 1, None]; [1, 1, None, None, None]; [2]; [2, "a"]; [2, "a", [], {}]
    [3, 1, "a", []]; [-1, 1, "a", []]; [10**5000, 1, "a", []]; [2**64, 1, "a", []]
    [False, 1, "a", []]; [0.0, 1, "a", []]; ["0", 1, "a", []]; [None, 1, "a", []]
    [np.zeros(0), 1, "a", []]; [np.zeros(1), 1, "a", []]; [np.zeros(2), 1, "a", []]
    [[], 1, "a", []]; [{}, 1, "a", []]; [np.uint8([0]), 1, "a", []]
    [0, -1, "a", []]; [0, 2**64, "a", []]; [0, True, "a", []]; [0, 1.0, "a", []]
    [0, None, "a", []]; [0, "1", "a", []]; [0, 10**5000, "a", []]; [0, np.zeros(2), "a", []]
    [0, 1, 1, []]; [0, 1, b"\xff", []]; [0, 1, None, []]; [0, 1, np.zeros(2), []]
    [0, 1, "a", None]; [0, 1, "a", 1]; [0, 1, "a", "text"]; [0, 1, "a", np.zeros(2)]
    [0, 1, "a", [], None]; [0, 1, "a", [], []]; [0, 1, "a", [], 1]
    [1, None, None, 1]; [1, "1", None, 1]; [1, True, None, 1]
    [1, 1, "error", None]; [1, 1, [], None]; [1, 1, True, None]
    [2, 1, []]; [2, None, []]; [2, b"\xff", []]; [2, "a", None]; [2, "a", 1]
"""


@pytest.mark.parametrize("text", re.split(r"; |\n +", NO_MESSAGE.strip()))
def test_what_is_no_message_is_rejected(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(Encoder().value(literal(text)))
    assert caught.value.code == "invalid_argument"


@given(st.lists(wire_values() | tensors() | st.sampled_from([0, 1, 2, "a", [], {}]), max_size=6))
def test_any_array_is_a_message_or_rejected(fields: list[Any]) -> None:
    assert read(Encoder().value(fields))


@pytest.mark.parametrize(
    "wrong",
    [
        [0, 7, "a", None],
        [0, 7, b"\xff", []],
        [0, 7, "a", [], None],
        [0, 7, "a", [], {"unknown": 1}],
    ],
)
def test_a_wrong_request_is_rejected_with_its_id(wrong: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(Encoder().value(wrong))
    assert caught.value.msgid == 7


@pytest.mark.parametrize("rest", ["c1", "", "a161", "a161 d42a00", "a161 90 00"])
def test_an_undecodable_request_is_rejected_with_its_id(rest: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(bytes.fromhex("94 00 cd 01 00" + rest))
    assert caught.value.msgid == 256


@given(st.binary(max_size=60))
def test_random_bytes_do_no_harm(data: bytes) -> None:
    assert read(data)


@given(messages(), st.data())
def test_one_wrong_byte_does_no_harm(message: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode_message(message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    assert read(bytes(encoded))


# -- the id in the first bytes --------------------------------------------------------------------


@given(message_ids(), st.booleans())
def test_the_id_of_a_request_is_in_its_first_bytes(msgid: int, with_options: bool) -> None:
    data = Encoder().request(msgid, "a" * 50, [], {} if with_options else None)
    assert peek_msgid(data) == peek_msgid(data[:11]) == peek_msgid(memoryview(data)) == msgid


@pytest.mark.parametrize("msgid", [number for number in BOUNDARIES if 0 <= number < 2**64])
def test_half_an_id_is_no_id(msgid: int) -> None:
    head = Encoder().value(msgid)
    for size in range(len(head)):
        assert peek_msgid(b"\x94\x00" + head[:size]) is None
    assert peek_msgid(b"\x94\x00" + head) == msgid


@pytest.mark.parametrize(
    "head",
    [
        *("", "94", "9400", "930001a161", "960001a161", "800001", "940101c0c0", "9302a16190"),
        *("9400ff", "9400e0", "9400d007", "9400d3ffffffffffffffff", "9400c3", "9400c0"),
        *("9400a131", "9400cb3ff0000000000000", "9400ca3f800000", "940090", "9400d42a00"),
    ],
)
def test_there_is_no_id_in_other_bytes(head: str) -> None:
    assert peek_msgid(bytes.fromhex(head)) is None


@given(st.binary(max_size=12), st.sampled_from([b"", b"\x94\x00", b"\x95\x00", b"\x94"]))
def test_peeking_never_contradicts_decoding(tail: bytes, head: bytes) -> None:
    data = head + tail
    peeked = peek_msgid(data)
    try:
        message = decode_message(data)
    except RemoteProtocolError as error:
        found = error.msgid
    else:
        found = message.msgid if isinstance(message, Request) else None
    assert peeked in (None, found)
