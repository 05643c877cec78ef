"""keys.py: no entry of a dict is lost, in no form; where two would be one, the path is told."""

from __future__ import annotations

import enum
import json
from collections import UserDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import Timestamp

from bridge.errors import CallError, EncodeError
from bridge.testing import ConnectionPair
from bridge.wire.answers import decode_answer
from bridge.wire.codec import Encoder
from bridge.wire.json_text import encode_json
from bridge.wire.json_values import to_plain
from bridge.wire.keys import has_same_keys
from bridge.wire.substitutes import sendable
from bridge.wire.values import told_key, wire_key
from tests.strategies import scalar_keys


class Color(enum.Enum):
    RED = "red"
    ONE = 1


@dataclass
class Point:
    names: Any


class Model:
    def model_dump(self) -> Any:
        return {"x": [{Color.RED: 1, "red": 2}]}


class OneOfAKind(str):
    """Text that is only equal to itself."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


UNIQUE = UUID(int=1)
#: Dicts with two keys of which a reader of MessagePack finds one.
SAME: list[dict[Any, Any]] = [
    {Color.RED: 1, "red": 2},
    {Color.ONE: 1, 1: 2},
    {UNIQUE: 1, str(UNIQUE): 2},
    {PurePosixPath("a"): 1, "a": 2},
    {Decimal("1.0"): 1, "1.0": 2},
    {date(2024, 1, 1): 1, "2024-01-01": 2},
    {time(1): 1, "01:00:00": 2},
    {datetime(2024, 1, 1): 1, "2024-01-01T00:00:00": 2},
    {datetime(1970, 1, 1, tzinfo=UTC): 1, Timestamp(0, 0): 2},
    {np.datetime64("2024-01-01"): 1, datetime(2024, 1, 1): 2},
    {np.float32(0.1): 1, Decimal("0.1"): 2, "0.1": 3},
    {frozenset([1]): 1, (1,): 2},
    {range(1): 1, (0,): 2},
    {(Color.RED, 1): 1, ("red", 1): 2},
    {"a": 0, **{n: n for n in range(50)}, Color.ONE: 2},
    # nothing would be converted here; so it is found beside something else
    {OneOfAKind("a"): 1, "a": 2, Color.ONE: 3},
]
#: Those of which a reader in Elixir does.
SAME_IN_ELIXIR: list[dict[Any, Any]] = [
    {b"a": 1, "a": 2},
    {(b"a",): 1, ("a",): 2},
    {float("nan"): 1, float("nan"): 2},
]
#: Where such a dict may stand, and what it is called there.
PLACES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda same: same, ""),
    (lambda same: [{"a": [1, same]}], "[0].a[1]"),
    (lambda same: {"a": (1, same)}, ".a[1]"),
    (lambda same: Point(same), ".names"),
    (lambda same: [Point([same])], "[0].names[0]"),
    (lambda same: MappingProxyType({"a": same}), ".a"),
    (lambda same: deque([same]), "[0]"),
    (lambda same: UserDict({"a": UserDict(same)}), ".a"),
]
places = pytest.mark.parametrize(("place", "path"), PLACES, ids=[path for _, path in PLACES])


@places
@pytest.mark.parametrize("same", SAME, ids=lambda same: str(same)[:40])
def test_keys_that_become_one_are_refused_with_the_path(same: Any, place: Any, path: str) -> None:
    encoder = Encoder()
    value = place(same)
    for name, encode in {
        "result": lambda: encoder.result(1, value),
        "item": lambda: encoder.item(1, value),
        "params": lambda: encoder.request(1, "a", [value]),
        "value": lambda: encoder.value(value),
    }.items():
        inner = f"[0]{path}" if name == "params" else path
        with pytest.raises(EncodeError) as caught:
            encode()
        assert str(caught.value).startswith(f"{name}{inner} cannot be encoded: its keys ")
        assert encoder.value({Color.RED: 1}) == encoder.value({"red": 1})


#: The same in JSON, where keys are text.
SAME_AS_TEXT: list[dict[Any, Any]] = [
    {1: 1, "1": 2}, {True: 1, "true": 2}, {None: 1, "null": 2}, {1.5: 1, "1.5": 2},
    {2**70: 1, str(2**70): 2}, {OneOfAKind("a"): 1, "a": 2},
]  # fmt: skip


@places
@pytest.mark.parametrize("same", SAME_AS_TEXT, ids=lambda same: str(same)[:40])
def test_keys_of_one_text_are_refused_in_json_with_the_path(
    same: Any, place: Any, path: str
) -> None:
    for encode in (to_plain, encode_json):
        with pytest.raises(EncodeError) as caught:
            encode(place(same), "result")
        told = str(caught.value)
        assert told.startswith("result")
        if encode is to_plain:
            assert told.startswith(f"result{path} cannot be encoded: its keys ")


@pytest.mark.parametrize(
    "same", [{b"a": 1, "YQ==": 2}, {Color.RED: 1, "red": 2}], ids=lambda same: str(same)[:40]
)
def test_keys_that_become_one_text_are_refused_in_json(same: Any) -> None:
    with pytest.raises(EncodeError, match=r"result\.a cannot be encoded: its keys "):
        to_plain({"a": same}, "result")


@pytest.mark.parametrize("same", SAME_IN_ELIXIR, ids=str)
def test_keys_that_messagepack_tells_apart_are_sent(same: Any) -> None:
    assert len(decode_answer(Encoder().result(1, same)).result) == 2
    assert Encoder().result(1, [same, Color.ONE])  # whatever is converted beside


@pytest.mark.parametrize(
    "same", SAME + SAME_AS_TEXT + SAME_IN_ELIXIR, ids=lambda same: str(same)[:40]
)
def test_what_is_only_told_loses_no_entry_either(same: Any) -> None:
    """Log records, progress, the details of errors."""
    told = sendable(same)
    assert len({*map(told_key, told)}) == len(same)
    assert len(to_plain(told, "details")) == len(same)
    pair = ConnectionPair()
    pair.request(1)
    pair.error(1, CallError("no", details={"a": same}))
    details = decode_answer(pair.take_bytes()[4:]).error["details"]["a"]
    assert len({*map(told_key, details)}) == len(same)


@given(
    st.lists(
        st.tuples(
            scalar_keys()
            | st.builds(Decimal, st.integers(0, 3))
            | st.integers(0, 3).map(str)
            | st.sampled_from(Color)
            | st.integers(0, 3).map(lambda n: str(n).encode()),
            st.integers(),
        ),
        max_size=6,
    )
)
def test_each_entry_arrives_or_the_call_fails(pairs: list[tuple[Any, Any]]) -> None:
    value = dict(pairs)
    for encode, count in (
        (lambda: Encoder().result(1, [value]), lambda data: len(decode_answer(data).result[0])),
        (lambda: to_plain([value], "x"), lambda plain: len(plain[0])),
        (lambda: encode_json([value], "x"), lambda data: len(json.loads(data)[0])),
    ):
        try:
            encoded = encode()
        except EncodeError:
            continue
        assert count(encoded) == len(value)
    assert has_same_keys([value], wire_key) == (len({*map(wire_key, value)}) < len(value))


def test_a_value_that_contains_itself_is_looked_at_once() -> None:
    value: dict[str, Any] = {}
    value.update(a=value, b=value, c=[value, value])
    assert not has_same_keys(value, wire_key)
    with pytest.raises(EncodeError, match="contains itself"):
        Encoder().value(UserDict(value))
