"""Objects that travel with the names of their classes, to peers that have asked for these."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, unpackb

from bridge.errors import EncodeError
from bridge.wire import Encoder, Forms

HERE = __name__


@dataclass
class Money:
    cents: Any


class Debt(Money):
    pass


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1
    HUGE = 2**70


class Own:
    """Of which only an adapter knows what it is."""

    def __init__(self, content: Any) -> None:
        self.content = content


Point = namedtuple("Point", "x y")
NAMES = frozenset(f"{HERE}.{name}" for name in ("Money", "Pair", "Colour", "Own", "Point", "Size"))


def named(name: str, value: Any) -> dict[Any, Any]:
    return {ExtType(4, f"{HERE}.{name}".encode()): value}


def read(data: Any) -> Any:
    return unpackb(bytes(data), strict_map_key=False)


def result(value: Any, forms: Forms) -> Any:
    return read(Encoder(forms=forms).result(1, value))[3]


def without_names(value: Any) -> Any:
    if isinstance(value, list):
        return [without_names(item) for item in value]
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, ExtType) and key.code == 4:
                assert len(value) == 1
                return without_names(item)
        return {key: without_names(item) for key, item in value.items()}
    return value


def test_objects_of_named_classes_and_derived_ones_have_the_name() -> None:
    forms = Forms({Own: lambda own: own.content}, named=NAMES)
    assert result([Money(1), {"a": Debt(Colour.RED)}], forms) == [
        named("Money", {"cents": 1}),
        {"a": named("Money", {"cents": named("Colour", "red")})},
    ]
    # of the object and of what it stands for
    assert result(Own(Money(Decimal(1))), forms) == named("Own", named("Money", {"cents": "1"}))
    assert result(Decimal(1), Forms(named=frozenset(["decimal.Decimal"]))) == {
        ExtType(4, b"decimal.Decimal"): "1"
    }


def test_what_messagepack_has_itself_has_none_unless_the_adapter_gives_it_a_form() -> None:
    value = [Point(1, 2), Size.SMALL, Size.HUGE, {"a": 1}]
    forms = Forms(
        named=NAMES | {"builtins.list", "builtins.dict", "builtins.int", "builtins.tuple"}
    )
    assert result(value, forms) == result(value, Forms())
    forms = Forms({Point: lambda point: point._asdict()}, named=NAMES)
    assert result(Point(1, 2), forms) == named("Point", {"x": 1, "y": 2})


def test_who_asks_for_nothing_gets_no_names_and_may_ask_later() -> None:
    forms = Forms()
    encoder = Encoder(forms=forms)
    assert read(encoder.result(1, Money(1)))[3] == {"cents": 1}
    forms.named_after(NAMES)
    assert read(encoder.result(1, Money(1)))[3] == named("Money", {"cents": 1})
    forms.named_after(frozenset())
    assert read(encoder.result(1, Money(1)))[3] == {"cents": 1}


def test_notifications_but_items_go_without() -> None:
    encoder = Encoder(forms=Forms(named=NAMES))
    assert read(encoder.notification("$/send", ["a", Money(1)]))[2] == ["a", {"cents": 1}]
    assert read(encoder.item(1, Money(1)))[2] == [1, named("Money", {"cents": 1})]
    with pytest.raises(EncodeError):
        encoder.notification("$/send", [Money(object())])
    assert read(encoder.request(1, "f", [Money(1)]))[3] == [named("Money", {"cents": 1})]


def test_a_fault_in_one_has_the_path_that_it_has_without() -> None:
    value = {"a": [Money(Pair(object(), 1))]}
    messages = []
    for forms in (Forms(), Forms(named=NAMES)):
        with pytest.raises(EncodeError) as caught:
            Encoder(forms=forms).result(1, value)
        messages.append(str(caught.value))
    assert messages[0].startswith("result.a[0].cents.left cannot be encoded: no form")
    assert messages[0] == messages[1]


def test_what_stands_for_itself_comes_to_an_end() -> None:
    forms = Forms({Own: lambda own: own, Colour: lambda colour: Own(colour)}, named=NAMES)
    with pytest.raises(EncodeError, match="no form on the wire for"):
        Encoder(forms=forms).result(1, Own(1))
    forms = Forms({Own: lambda own: Money(own)}, named=NAMES)
    with pytest.raises(EncodeError, match=r"result.* cannot be encoded: it is nested too deeply"):
        Encoder(forms=forms).result(1, Own(1))


def test_keys_that_become_the_same_are_refused_with_names_too() -> None:
    forms = Forms(named=NAMES)
    # a map as a key, which Elixir reads and Python does not
    assert b"\x81\xc7" + bytes([len(HERE) + 7, 4]) in bytes(
        Encoder(forms=forms).result(1, {Colour.RED: 1})
    )
    with pytest.raises(EncodeError, match="would be the same there"):
        Encoder(forms=forms).result(1, {Colour.RED: 1, "red": 2})


OBJECTS = st.recursive(
    st.none()
    | st.integers()
    | st.text()
    | st.decimals()
    | st.just(Colour.RED)
    | st.sampled_from(Size),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Money, inner)
        | st.builds(Debt, inner)
        | st.builds(Own, inner.map(lambda item: [item]))
        | st.builds(Point, inner, inner)
    ),
    max_leaves=12,
)


@given(OBJECTS, st.frozensets(st.sampled_from(sorted(NAMES))), st.booleans())
def test_names_change_nothing_else(value: Any, names: frozenset[str], exact: bool) -> None:
    encoders: dict[type, Any] = {Own: lambda own: own.content}
    if exact:
        encoders[Point] = list
    plain = result(value, Forms(encoders))
    assert without_names(result(value, Forms(encoders, named=names))) == plain
