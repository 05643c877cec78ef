"""Values as JSON that keeps what they are, and where the trouble is with those that cannot."""

import dataclasses
import datetime
import decimal
import enum
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import EncodeError, RemoteProtocolError
from bridge.wire.json_text import decode_json, encode_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@dataclasses.dataclass
class Point:
    x: float
    y: object = None


class Color(enum.Enum):
    RED = "red"


@given(JSON)
def test_what_json_has_comes_back_as_it_was(value):
    again = decode_json(encode_json(value, "result"), "result")
    assert again == value
    assert repr(again) == repr(value), "integers and floats stay apart"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (True, True),
        (2**70, 2**70),
        (1.0, 1.0),
        ((1, 2), [1, 2]),
        ({1: "a", None: "b", False: "c", 1.5: "d"}, {"1": "a", "null": "b", "false": "c", "1.5": "d"}),
        (Point(1.5), {"x": 1.5, "y": None}),
        ([Point(1, Point(2))], [{"x": 1, "y": {"x": 2, "y": None}}]),
        (Color.RED, "red"),
        ({1}, [1]),
        (range(3), [0, 1, 2]),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
        (datetime.timedelta(seconds=90), 90.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"scores": np.array([0.5])}, {"scores": [0.5]}),
    ],
)  # fmt: skip
def test_rich_objects_have_their_natural_form(value, plain):
    found = json.loads(encode_json(value, "result"))
    assert (found, type(found)) == (plain, type(plain))


def circle():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (math.nan, "result", "JSON has no nan"),
        ({"a": [1, math.inf]}, "result.a[1]", "JSON has no inf"),
        (Point(-math.inf), "result.x", "JSON has no -inf"),
        (np.array([1, math.nan]), "result[1]", "JSON has no nan"),
        ([np.zeros((2**30, 0))], "result[0]", "an array of shape (1073741824, 0) is 1073741824"),
        (b"", "result", "JSON has no form for bytes"),
        ({"a b": bytearray(b"x")}, "result['a b']", "JSON has no form for bytes"),
        ([memoryview(b"x")], "result[0]", "JSON has no form for bytes"),
        ([{"x": object()}], "result[0].x", "no form on the wire for builtins.object"),
        ({"x": "\ud800"}, "result.x", "text with a lone surrogate"),
        ({"\ud800": 1}, r"the key '\ud800' of result", "text with a lone surrogate"),
        ({(1, 2): 1}, "the key (1, 2) of result", "keys in JSON are text"),
        ({b"x": 1}, "the key b'x' of result", "keys in JSON are text"),
        ({math.nan: 1}, "the key nan of result", "JSON has no nan"),
        (circle(), "result", "nested too deeply, or contains itself"),
        ([10**5000], "result", "4300 digits"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(value, path, reason):
    with pytest.raises(EncodeError) as caught:
        encode_json(value, "result")
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be encoded: ")
    assert reason in message


def test_text_is_utf8_without_escapes():
    assert encode_json({"ä": "€"}, "result") == '{"ä":"€"}'.encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x is not JSON: Expecting value"),
        (b"{", "x is not JSON"),
        (b"1 2", "x is not JSON: Extra data"),
        (b"\xff", "x is not JSON: 'utf-8' codec"),
        (b"1" * 5000, "x is not JSON: Exceeds the limit"),
        (b"[" * 100_000, "x is nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_by_name(data, words):
    with pytest.raises(RemoteProtocolError) as caught:
        decode_json(data, "x")
    assert str(caught.value).startswith(words)
    assert len(str(caught.value)) < 300
