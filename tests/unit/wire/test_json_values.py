"""The JSON form of values: what JSON lacks becomes text and lists, everything else stays."""

import datetime
import enum
import json
import math
import uuid
from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given

from bridge.errors import EncodeError
from bridge.wire.json_values import MAX_DEPTH, to_plain
from tests.strategies import tensors, wire_values

UTC = datetime.UTC


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def error_of(value):
    with pytest.raises(EncodeError) as caught:
        to_plain(value, "result")
    return str(caught.value)


def test_an_array_of_nothing_does_not_fill_the_memory():
    assert to_plain(np.zeros((2, 3, 0)), "result") == [[[], [], []], [[], [], []]]
    message = error_of([np.zeros((2**30, 0))])
    assert message.endswith("an array of shape (1073741824, 0) is 1073741824 empty lists")


@pytest.mark.parametrize(
    "value", [None, True, False, 0, -1, 2**53, -(2**53), 1.5, -0.0, 1e300, "täxt 𝄞", "", [], {}]
)
def test_what_json_has_stays(value):
    plain = to_plain(value, "result")
    assert plain == value
    assert type(plain) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (2**64, "18446744073709551616"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"ab"), "YWI="),
        (memoryview(b""), ""),
        ((1, (2,)), [1, [2]]),
        ({1: 2, None: 3, b"\x01": 4, 1.5: 5}, {"1": 2, "null": 3, "AQ==": 4, "1.5": 5}),
        ({True: 1, False: 0, math.nan: 2}, {"true": 1, "false": 0, "NaN": 2}),
        (datetime.datetime(2026, 11, 23, 12, tzinfo=UTC), "2026-11-23T12:00:00+00:00"),
        (datetime.datetime(2026, 11, 23, 12), "2026-11-23T12:00:00"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (datetime.timedelta(milliseconds=1500), 1.5),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({3}, [3]),
        (range(3), [0, 1, 2]),
        (np.float32(0.5), 0.5),
        (np.int64(2**60), str(2**60)),
        (np.arange(4, dtype="i2").reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([1.0, math.nan]), [1.0, "NaN"]),
        (np.zeros((2, 0)), [[], []]),
        (np.array(7, dtype="u1"), 7),
        ([np.array([2**60])], [[str(2**60)]]),
    ],
)
def test_what_json_lacks_has_its_form(value, plain):
    assert to_plain(value, "result") == plain


def test_rich_objects_have_the_form_of_their_fields():
    @dataclass
    class Point:
        x: int
        tags: set

    class Colour(enum.Enum):
        RED = b"\xff"

    class Word(enum.StrEnum):
        YES = "yes"

    pair = namedtuple("pair", "a b")
    value = {"point": Point(1, {2**60}), "colour": Colour.RED, "word": Word.YES, "pair": pair(1, 2)}
    plain = to_plain(value, "result")
    assert plain == {
        "point": {"x": 1, "tags": [str(2**60)]},
        "colour": "/w==",
        "word": "yes",
        "pair": [1, 2],
    }
    assert type(plain["word"]) is str


def test_integers_of_many_digits_do_not_take_for_ever():
    plain = to_plain(2**1_000_000, "result")
    assert int(plain, 0) == 2**1_000_000


@given(value=wire_values())
def test_every_value_has_a_form_that_json_can_write(value):
    keys_collide = False
    try:
        plain = to_plain(value, "result")
    except EncodeError:
        keys_collide = True
    else:
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert not keys_collide or has_colliding_keys(value)


def has_colliding_keys(value):
    """Does any map in it have keys that are the same as text? No other value has no form."""
    if isinstance(value, list):
        return any(map(has_colliding_keys, value))
    if not isinstance(value, dict):
        return False
    keys = [next(iter(to_plain({key: None}, "key"))) for key in value]
    return len(set(keys)) < len(keys) or any(map(has_colliding_keys, value.values()))


@given(array=tensors())
def test_every_tensor_has_one_but_of_complex_numbers(array):
    if array.dtype.kind == "c" and array.size:
        assert "complex" in error_of(array)
    else:
        plain = to_plain(array, "result")
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert not array.size or np.shape(plain) == array.shape


def test_what_has_no_form_is_named_with_its_path():
    message = error_of({"scores": [1, {"a b": object()}]})
    assert "result.scores[1]['a b']" in message
    assert "object" in message


def test_text_that_is_not_unicode_is_named_with_its_path():
    assert "result[1]" in error_of(["ok", "\ud800"])


def test_a_key_that_is_not_unicode_is_named_with_its_path():
    assert "the key" in error_of({"\ud800": 1})


def test_keys_that_are_the_same_as_text_are_refused():
    assert "same" in error_of({1: "a", "1": "b"})
    assert "same" in error_of({"outer": {None: 1, "null": 2}})


@pytest.mark.parametrize("other", [{1: "a", "1": "b"}, object()])
def test_what_has_a_form_is_not_blamed(other):
    message = error_of({"when": datetime.datetime(2026, 1, 1, tzinfo=UTC), "other": other})
    assert "when" not in message
    assert "Timestamp" not in message


def test_the_depth_is_limited_as_protobuf_limits_it():
    assert to_plain(nested(MAX_DEPTH), "result") == nested(MAX_DEPTH)
    assert f"{MAX_DEPTH} levels" in error_of(nested(MAX_DEPTH + 1))
    assert f"{MAX_DEPTH} levels" in error_of({"k": {"k": nested(MAX_DEPTH - 1)}})


def test_a_value_that_contains_itself_is_an_error():
    loop = []
    loop.append(loop)
    assert "result" in error_of(loop)


def test_complex_arrays_name_the_way_out_and_the_place() -> None:
    with pytest.raises(EncodeError) as caught:
        to_plain({"z": [np.array([1j])]}, "result")
    assert str(caught.value).startswith(
        "result.z[0] cannot be encoded: JSON has no complex numbers"
    )
    assert "[array.real, array.imag]" in str(caught.value)
