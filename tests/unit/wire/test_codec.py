"""codec.py, values: against the vectors, at random, and when they have no form on the wire."""

from __future__ import annotations

import re
import tracemalloc
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CallError, EncodeError, RemoteProtocolError
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.messages import Request, Response
from tests.equality import deep_equal
from tests.strategies import call_options, integers, message_ids, wire_values
from tests.wire_messages import read
from tests.wire_vectors import Vector, vectors

HUGE = 10**5000  # more digits than Python is willing to print


# -- vectors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors("y"), ids=repr)
def test_a_valid_vector_is_decoded(vector: Vector) -> None:
    assert deep_equal(decode_value(vector.data), vector.value)


@pytest.mark.parametrize("vector", [v for v in vectors("y") if v.encodes], ids=repr)
def test_a_valid_vector_is_encoded_to_its_bytes(vector: Vector) -> None:
    assert Encoder().value(vector.value).hex(" ") == vector.encoded.hex(" ")


@pytest.mark.parametrize("vector", vectors("n"), ids=repr)
def test_an_invalid_vector_is_rejected(vector: Vector) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_value(vector.data)


@pytest.mark.parametrize("vector", vectors("i"), ids=repr)
def test_an_open_vector_does_no_harm(vector: Vector) -> None:
    """Accepted or rejected, never another exception."""
    assert read(vector.data)


def test_all_kinds_of_vectors_are_found() -> None:
    assert all(len(vectors(kind)) > 5 for kind in "yni")


# -- values -------------------------------------------------------------------------------------


@given(wire_values())
def test_values_survive(value: Any) -> None:
    """From bytes as well as from a view, as the connection reads them."""
    data = Encoder().value(value)
    assert deep_equal(decode_value(data), value)
    assert deep_equal(decode_value(memoryview(data)), value)


@pytest.mark.parametrize("size", [65_535, 65_536])
@pytest.mark.parametrize("unit", ["a", b"\xff", [None]], ids=["str", "bin", "array"])
def test_the_boundary_of_16_bit_lengths(unit: Any, size: int) -> None:
    data = Encoder().value(unit * size)
    header = {"a": 0xDA, b"\xff": 0xC5}.get(unit if unit != [None] else None, 0xDC)
    assert data[0] == header + (size > 65_535)
    assert decode_value(data) == unit * size


def test_the_boundary_of_16_bit_map_lengths() -> None:
    for size, header in ((65_535, 0xDE), (65_536, 0xDF)):
        value = dict.fromkeys(range(size))
        data = Encoder().value(value)
        assert data[0] == header
        assert decode_value(data) == value


@given(wire_values(), st.data())
def test_every_truncation_is_rejected(value: Any, data: st.DataObject) -> None:
    encoded = Encoder().value(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(RemoteProtocolError):
        decode_value(encoded[:cut])


@given(wire_values(), st.binary(min_size=1, max_size=5))
def test_every_addition_is_rejected(value: Any, more: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_value(Encoder().value(value) + more)


@given(st.binary(max_size=60))
def test_random_bytes_do_no_harm(data: bytes) -> None:
    assert read(data)


@pytest.mark.parametrize("opening", ["91", "8100", "dd00000001", "91810091"])
@pytest.mark.parametrize("end", ["c0", "a1ff", ""])
def test_bottomless_nesting_is_rejected(opening: str, end: str) -> None:
    """A hundred thousand levels: neither the C stack nor Python's is exhausted."""
    with pytest.raises(RemoteProtocolError):
        decode_value(bytes.fromhex(opening * 100_000 + end))


@pytest.mark.parametrize("depth", [300, 500, 700, 1000, 1023])
def test_deep_text_that_is_not_utf8_does_no_harm(depth: int) -> None:
    """Turning it into bytes walks the whole value a second time."""
    assert read(bytes.fromhex("91" * depth + "a1ff"))


def test_text_that_is_not_utf8_is_found_at_every_depth() -> None:
    value = decode_value(bytes.fromhex("9281a1ff01" + "91" * 1000 + "a1ff"))
    assert value[0] == {b"\xff": 1}
    innermost = value[1]
    for _ in range(1000):
        (innermost,) = innermost
    assert innermost == b"\xff"


def test_text_that_is_not_utf8_reaches_us_as_bytes() -> None:
    """And nothing beside it changes."""
    array = np.array([1.0])
    sent = {"text": "\u00e9", "moment": datetime(2026, 1, 1, tzinfo=UTC), "array": array}
    data = Encoder().value([[sent, 2**64], "AA"])[:-2] + b"\xff\xfe"
    assert deep_equal(decode_value(data), [[sent, 2**64], b"\xff\xfe"])


# -- values without a form ------------------------------------------------------------------------


SELF: list[Any] = [1]
SELF.append(SELF)
LOOP: dict[str, Any] = {}
LOOP["loop"] = {"back": LOOP}
DEEP: list[Any] = []
for _ in range(2000):
    DEEP = [DEEP]

ERRORS = [
    (object(), "result cannot be encoded: no form on the wire for builtins.object"),
    ({"scores": [1, 2, 3, object()]}, "result.scores[3] cannot be encoded: no form"),
    ({"a": {"b": {"c": object()}}}, "result.a.b.c cannot be encoded"),
    ({"not a name": object()}, "result['not a name'] cannot be encoded"),
    ({5: [object()]}, "result[5][0] cannot be encoded"),
    ([[], [0, (object(),)]], "result[1][1][0] cannot be encoded"),
    ({object: 1}, "the key <class 'object'> of result cannot be encoded"),
    ({"a": {object: 1}}, "the key <class 'object'> of result.a cannot be encoded"),
    ({HUGE: object()}, "cannot be encoded: no form on the wire for builtins.object"),
    (["a", "\ud800"], "result[1] cannot be encoded: text with a lone surrogate"),
    ({"\udfff": 1}, "the key '\\udfff' of result cannot be encoded: text with a lone surrogate"),
    (SELF, "result cannot be encoded: it is nested too deeply"),
    (LOOP, "levels), or contains itself"),
    (DEEP, "nested too deeply"),
    ([{1, object}], "result[0]["),
    (len, "builtins.builtin_function_or_method"),
]


@pytest.mark.parametrize(("value", "says"), ERRORS, ids=[says for _, says in ERRORS])
def test_the_error_says_where_and_what(value: Any, says: str) -> None:
    with pytest.raises(EncodeError) as caught:
        Encoder().result(1, value)
    assert says in str(caught.value)


def test_there_is_an_error_even_without_memory_to_find_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def walk(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("bridge.wire.values.walk", walk)
    with pytest.raises(EncodeError, match="result cannot be encoded"):
        Encoder().result(1, [object()])


def test_a_key_without_a_form_is_refused() -> None:
    """The peer could not read the response; its caller would never learn the result."""
    with pytest.raises(EncodeError, match="key"):
        Encoder().result(1, {"x": {np.float32: 1}})


@pytest.mark.parametrize("key", [(1, 2), frozenset([1])])
def test_a_key_that_is_a_tuple_is_sent_as_an_array(key: Any) -> None:
    """Elixir takes any key. Python cannot, so such a map does not come back."""
    assert Encoder().value({key: 1}) == Encoder().value({1: 1}).replace(
        b"\x01\x01", Encoder().value(list(key)) + b"\x01"
    )


def test_a_text_key_stands_for_a_text_form() -> None:
    """Rich values that become text may be keys, as far as msgpack turns them into scalars."""
    assert decode_value(Encoder().value({np.str_("a"): 1})) == {"a": 1}


def test_the_path_begins_with_what_was_sent() -> None:
    encoder = Encoder()
    for begin, send in {
        "result[0]": lambda bad: encoder.result(1, bad),
        "error[0]": lambda bad: encoder.error(1, bad),
        "params[0]": lambda bad: encoder.request(1, "a", bad),
        "item[0]": lambda bad: encoder.item(1, bad),
        "params[1][0]": lambda bad: encoder.notification("$/log", [1, bad]),
        "value[0]": lambda bad: encoder.value(bad),
        "left[0]": lambda bad: encoder.value(bad, "left"),
    }.items():
        with pytest.raises(EncodeError, match=f"^{re.escape(begin)} cannot be encoded"):
            send([object()])


def test_the_limit_of_depth_is_the_one_in_the_error() -> None:
    """As deep as the error says can be written and read; one level more is refused."""
    with pytest.raises(EncodeError) as caught:
        Encoder().result(1, DEEP)
    (limit,) = map(int, re.findall(r"more than (\d+) levels", str(caught.value)))
    value: Any = None
    for _ in range(limit):
        value = [value]
    back = decode_message(Encoder().result(1, value))
    assert isinstance(back, Response)
    levels = 0
    while isinstance(back.result, list):
        (back.result,) = back.result
        levels += 1
    assert levels == limit
    with pytest.raises(EncodeError):
        Encoder().result(1, [value])


@pytest.mark.parametrize(("bad", "says"), ERRORS, ids=[says for _, says in ERRORS])
def test_an_encoder_stays_usable_after_an_error(bad: Any, says: str) -> None:
    """Nothing of what could not be encoded is in the next message."""
    encoder = Encoder()
    for value in ([1, 2], {"a": [3]}):
        with pytest.raises(EncodeError):
            encoder.result(1, ["x" * 100, bad])
        assert encoder.value(value) == Encoder().value(value)


def test_a_large_buffer_is_not_kept() -> None:
    """An encoder lives as long as its thread; one large result must not stay with it."""
    encoder, large = Encoder(), bytes(16 << 20)
    tracemalloc.start()
    try:
        encoder.value(large)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak < len(large):
        pytest.skip("this msgpack allocates where tracemalloc does not look")
    assert kept < 2 << 20


# -- every form of a value, and whole requests ------------------------------------------------------


def forms(value: Any) -> list[bytes]:
    """All heads with which MessagePack lets a value begin, from its table of formats."""
    size = len(value) if isinstance(value, str | bytes | list | dict) else 0
    if isinstance(value, str):
        size = len(value.encode())
    tables: dict[type, tuple[int | None, int, list[tuple[int, int]]]] = {
        # the fixed form and how many it takes, then the longer ones and the width of their size
        str: (0xA0, 32, [(0xD9, 1), (0xDA, 2), (0xDB, 4)]),
        bytes: (None, 0, [(0xC4, 1), (0xC5, 2), (0xC6, 4)]),
        list: (0x90, 16, [(0xDC, 2), (0xDD, 4)]),
        dict: (0x80, 16, [(0xDE, 2), (0xDF, 4)]),
    }
    fixed, most, longer = tables[type(value)]
    found = [bytes([fixed + size])] if fixed is not None and size < most else []
    return found + [
        bytes([head]) + size.to_bytes(width, "big") for head, width in longer if size < 256**width
    ]


def integer_forms(value: int) -> list[bytes]:
    found = [value.to_bytes(1, "big", signed=value < 0)] if -32 <= value < 128 else []
    for width, unsigned, signed in ((1, 0xCC, 0xD0), (2, 0xCD, 0xD1), (4, 0xCE, 0xD2), (8, 0xCF, 0xD3)):  # fmt: skip
        bits = 8 * width
        if 0 <= value < 1 << bits:
            found.append(bytes([unsigned]) + value.to_bytes(width, "big"))
        if -(1 << bits - 1) <= value < 1 << bits - 1:
            found.append(bytes([signed]) + value.to_bytes(width, "big", signed=True))
    return found


def write(draw: Any, value: Any) -> bytes:
    """The value in forms that need not be the shortest ones."""
    if type(value) is int and -(2**63) <= value < 2**64:
        return draw(st.sampled_from(integer_forms(value)))
    if not isinstance(value, str | bytes | list | dict):
        return Encoder().value(value)
    head = draw(st.sampled_from(forms(value)))
    if isinstance(value, str):
        return head + value.encode()
    if isinstance(value, bytes):
        return head + value
    parts = value if isinstance(value, list) else [part for item in value.items() for part in item]
    return head + b"".join(write(draw, part) for part in parts)


@given(wire_values(), st.data())
def test_every_form_of_a_value_is_read(value: Any, data: st.DataObject) -> None:
    """Other encoders do not always choose the shortest one."""
    assert deep_equal(decode_value(write(data.draw, value)), value)


@given(message_ids(), st.text(), st.lists(wire_values(), max_size=3), call_options(), st.data())
def test_a_request_with_options_survives_and_no_part_of_it_does(
    msgid: int, method: str, params: list[Any], options: tuple[Any, Any], data: st.DataObject
) -> None:
    """A part of it is rejected, with the id if that is there."""
    wire, meant = options
    encoded = Encoder().request(msgid, method, params, wire)
    assert deep_equal(decode_message(encoded), Request(msgid, method, params, meant))
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(encoded[:cut])
    assert caught.value.msgid == (msgid if cut >= 2 + len(Encoder().value(msgid)) else None)
    more = data.draw(st.binary(min_size=1, max_size=3))
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(encoded + more)
    assert caught.value.msgid == msgid


@given(st.binary(max_size=40) | wire_values().map(Encoder().value), st.data())
def test_what_is_read_can_be_written_and_read_again(encoded: bytes, data: st.DataObject) -> None:
    """Also after a byte of it has changed: accepted means understood."""
    changed = bytearray(encoded)
    if changed:
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        value = decode_value(bytes(changed))
    except RemoteProtocolError:
        return
    assert deep_equal(decode_value(Encoder().value(value)), value)


class Amount(int):
    """An integer that says what it counts."""


class Level(IntEnum):
    HIGH = 2**70
    LOW = -(2**70)


class Text(str): ...


class Data(bytes): ...


class Number(float): ...


@given(integers())
def test_an_integer_of_a_subclass_travels_as_what_it_is_whatever_its_size(number: int) -> None:
    sent = {"alone": Amount(number), "in": [Amount(number)], Amount(number): Amount(number)}
    there = decode_value(Encoder().value(sent))
    assert deep_equal(there, {"alone": number, "in": [number], number: number})


@pytest.mark.parametrize(
    ("value", "there"),
    [
        (Level.HIGH, 2**70), (Level.LOW, -(2**70)), (Text("x"), "x"), (Data(b"x"), b"x"),
        (Number(1.5), 1.5), (OrderedDict(a=1), {"a": 1}), (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float64(0.5), 0.5), (np.str_("x"), "x"), (np.bytes_(b"x"), b"x"), (np.bool_(True), True),
    ],
)  # fmt: skip
def test_a_value_of_a_subclass_travels_as_what_it_is(value: Any, there: Any) -> None:
    assert deep_equal(decode_value(Encoder().value([value])), [there])


ZEROS = np.zeros(2_200_000_000, "u1")  # never touched: they need no memory
ZEROS.flags.writeable = False
MASKED = np.ma.masked_array(np.zeros(1 << 20, "u1"))
SLIGHTLY_MORE = np.zeros(2**32, "u1")
SLIGHTLY_MORE.flags.writeable = False


@pytest.mark.parametrize(
    "value",
    # none of it is ever in memory: it is refused before anything is encoded
    [
        ZEROS,
        [ZEROS, ZEROS],
        SLIGHTLY_MORE,
        {"a": [1, {"b": (ZEROS, 2)}]},
        [[[[ZEROS]]]],
        [{"n": n, "data": ZEROS} for n in range(99)],
        {n: [ZEROS[: 2**26]] for n in range(99)},
        [np.zeros(2**31, "u1")],
        [[memoryview(ZEROS)]],
        [[ZEROS.reshape(2, -1)]],
    ],
    ids=[
        "2 GiB",
        "4 GiB",
        "one value of 4 GiB",
        "deeper",
        "deepest",
        "many",
        "many small ones",
        "to be copied",
        "a view",
        "another shape",
    ],
)
@pytest.mark.parametrize("method", ["result", "item"])
def test_what_no_frame_holds_is_refused_with_its_size_and_the_limit(
    method: str, value: Any
) -> None:
    encoder = Encoder()
    with pytest.raises(CallError, match=rf"the {method} has .*, above the limit of 2146435072"):
        getattr(encoder, method)(1, value)
    assert decode_message(encoder.result(1, 3)) == Response(1, None, 3)


@dataclass
class Chunk:
    data: Any


@pytest.mark.parametrize(
    "each",
    [Chunk(bytes(1 << 20)), Chunk({"a": np.zeros(1 << 20, "u1")}), MASKED],
    ids=["data", "deeper", "tensor"],
)
def test_what_is_converted_on_the_way_is_refused_before_all_of_it_is_encoded(each: Any) -> None:
    limit = 10 << 20
    encoder = Encoder(limit)
    with pytest.raises(CallError, match=r"the result has more bytes .* above the limit"):
        encoder.result(1, [*range(99), [each] * 1000])
    for _ in range(20):
        encoder.result(1, [*range(99), [each] * 9])


@pytest.mark.parametrize("value", ["x" * 2000, b"x" * 2000, [1] * 2000, b"x" * (1 << 20)], ids=type)
@pytest.mark.parametrize("method", ["result", "item"])
def test_the_limit_of_an_answer_holds_to_the_byte(method: str, value: Any) -> None:
    size = len(getattr(Encoder(), method)(1, value))
    assert len(getattr(Encoder(size), method)(1, value)) == size
    with pytest.raises(
        CallError, match=rf"has {size} bytes, above the limit of {size - 1}"
    ) as caught:
        getattr(Encoder(size - 1), method)(1, value)
    assert caught.value.code == "resource_exhausted"


@pytest.mark.parametrize("seconds", [-62_167_219_200, 2**40, -(2**63)])
def test_a_time_that_python_does_not_count_is_refused_in_words(seconds: int) -> None:
    """Elixir counts the year 0, and those before it."""
    data = b"\xc7\x0c\xff" + bytes(4) + seconds.to_bytes(8, "big", signed=True)
    with pytest.raises(RemoteProtocolError, match="years 1 to 9999"):
        decode_value(data)


@pytest.mark.parametrize("result", [[1, "two"], b"x" * (1 << 20)], ids=["small", "large"])
def test_a_result_may_tell_how_long_its_call_has_waited(result: Any) -> None:
    data = Encoder().timed_result(7, result, 0.0015)
    assert decode_value(bytes(data) if isinstance(data, bytes) else b"".join(data.buffers)) == [
        *[1, 7, None],
        result,
        1500,
    ]
