"""substitutes.py: whatever a tool says, something of it travels, and never more than is read."""

from __future__ import annotations

import io
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.codec import Encoder, decode_value
from bridge.wire.json_values import text_key
from bridge.wire.keys import has_same_keys
from bridge.wire.substitutes import sendable
from bridge.wire.values import told_key
from tests.equality import deep_equal
from tests.strategies import scalar_keys, wire_values

ENCODER = Encoder()


class Leaving:
    """Everything that is asked of it ends the process."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    def model_dump(self) -> Any:
        raise SystemExit(4)


class Endless:
    """Becomes another one of its kind for ever."""

    def model_dump(self) -> Any:
        return [Endless()]


class Broken(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def contains_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


#: What has no form on the wire, breaks when one is looked for, or is too much.
ODD = [
    object, Leaving, Endless, io.BytesIO, contains_itself,
    lambda: Broken(a=1), lambda: Text("x"), lambda: type, lambda: 10**5000, lambda: "caf\udce9",
    lambda: b"x" * 100_000, lambda: "x" * 100_000, lambda: [[0] * 1000] * 1000,
    lambda: np.zeros(100_000), lambda: {object(): 1, "\ud800": 2, (1, 2): 3}, lambda: 1 + 2j,
]  # fmt: skip


def odd_values() -> st.SearchStrategy[Any]:
    odd = st.integers(0, len(ODD) - 1).map(lambda index: ODD[index]())
    return st.recursive(
        odd | scalar_keys(),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(scalar_keys(), inner, max_size=5)
            | st.dictionaries(scalar_keys(), inner, max_size=5).map(OrderedDict)
        ),
        max_leaves=8,
    )


@given(odd_values())
def test_whatever_a_tool_says_something_of_it_travels(value: Any) -> None:
    assert len(ENCODER.value(sendable(value))) < 1 << 21


def every_reader_tells_its_keys_apart(value: Any) -> bool:
    """Otherwise one of two gets another name."""
    return not (has_same_keys(value, told_key) or has_same_keys(value, text_key))


def has_room(value: Any, parts: int) -> bool:
    """Whether nothing of it is too much: of ``parts`` each item has the same share, and so on."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return parts > 0
    share = parts // max(1, len(value))
    return parts > 0 and all(has_room(item, share) for item in value)


@given(
    wire_values()
    .filter(every_reader_tells_its_keys_apart)
    .filter(lambda value: has_room(value, 1000))
)
def test_what_can_travel_stays_as_it_is(value: Any) -> None:
    assert deep_equal(decode_value(ENCODER.value(sendable(value))), value)


@given(
    # the room of a value in three containers of two
    wire_values()
    .filter(every_reader_tells_its_keys_apart)
    .filter(lambda value: has_room(value, 1000 // 2**3)),
    st.integers(0, len(ODD) - 1),
)
def test_what_stands_beside_it_stays_as_it_is(value: Any, odd: int) -> None:
    sent = sendable({"odd": ODD[odd](), "deep": [1, {"odd": ODD[odd](), "good": value}]})
    there = decode_value(ENCODER.value(sent))
    assert deep_equal(there["deep"][1]["good"], value)
    assert there["deep"][0] == 1
    assert there["odd"] is not None


@pytest.mark.parametrize(
    ("value", "stands"),
    [
        ("caf\udce9", "caf\\udce9"),
        (["caf\udce9"], ["caf\\udce9"]),
        ({"caf\udce9": 1}, {"caf\\udce9": 1}),
        (Leaving(), "a Leaving that cannot be shown"),
        ({"a": Leaving(), "n": 1}, {"a": "a Leaving that cannot be shown", "n": 1}),
        ({"x": [Decimal("1.5"), date(2026, 1, 1), {1}]}, {"x": ["1.5", "2026-01-01", [1]]}),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        (list(range(102)), [*range(100), "… (2 more)"]),
        (dict.fromkeys(range(102)), {**dict.fromkeys(range(100)), "…": "… (2 more)"}),
        ({(1,): 1, "(1,)": 2}, {"(1,)": 1, "(1,) (1)": 2}),
        (1 + 2j, "(1+2j)"),
    ],
)  # fmt: skip
def test_what_stands_in_its_place(value: Any, stands: Any) -> None:
    assert decode_value(ENCODER.value(sendable(value))) == stands


def test_text_alone_may_be_longer_than_text_within_something() -> None:
    assert sendable("x" * 100_000).endswith("x… (34504 more bytes)")
    (inner,) = sendable(["x" * 100_000])
    assert inner.endswith("… (95944 more bytes)")
