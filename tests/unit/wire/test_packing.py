"""packing.py: what runs while a value is encoded may encode others, and may change the value."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import EncodeError
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.messages import Response
from tests.equality import deep_equal
from tests.strategies import wire_values

#: So much is left where it is.
LARGE = b"x" * 70_000


class Model:
    """Runs some code while it is made plain."""

    def __init__(self, plain: Any, meanwhile: Callable[[], object]) -> None:
        self._plain, self._meanwhile = plain, meanwhile

    def model_dump(self) -> Any:
        self._meanwhile()
        return self._plain


class Endless:
    """Becomes another one for ever."""

    def model_dump(self) -> Any:
        return OtherEndless()


class OtherEndless:
    def model_dump(self) -> Any:
        return Endless()


class EndlessSet(Set[int]):
    def __contains__(self, _: object) -> bool:
        return True

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return count()


class EndlessMapping(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return count()


# -- messages within messages -------------------------------------------------------------------


@given(
    value=wire_values(),
    inner=st.lists(wire_values(), max_size=3),
    bad=st.booleans(),
    large=st.booleans(),
)
def test_what_is_encoded_meanwhile_leaves_the_message_alone(
    value: Any, inner: list[Any], bad: bool, large: bool
) -> None:
    """As when a property of a model logs: on the same thread, with the same encoder."""
    encoder = Encoder()
    told: list[Any] = []

    def tell() -> None:
        for item in inner:
            told.append(decode_value(bytes(encoder.value(item))))
            # a model in a model
            nested = encoder.value([Model(item, partial(encoder.notification, "x", [item])), 1])
            told.append(decode_value(bytes(nested))[0])
        if bad:
            with pytest.raises(EncodeError):
                encoder.value(object())
        if large:
            told.append(decode_value(bytes(encoder.item(1, [LARGE, 1])))[2][1][0])

    beside = LARGE if large else b"x"
    data = bytes(encoder.result(7, [1, Model(value, tell), beside, Model(2, tell)]))
    message = decode_message(data)
    assert isinstance(message, Response)
    assert deep_equal(message.result, [1, value, beside, 2])
    once = [item for item in inner for _ in range(2)] + [LARGE] * large
    assert deep_equal(told, once * 2)
    assert decode_value(bytes(encoder.value([value]))) is not None  # and goes on


def test_keys_that_become_the_same_are_found_whatever_was_encoded_meanwhile() -> None:
    encoder = Encoder()
    same = {frozenset([1]): 1, (1,): 2}
    with pytest.raises(EncodeError, match="would be the same"):
        encoder.result(1, [same, Model(3, lambda: encoder.value({frozenset([1]): 1}))])


def test_an_encoder_is_freed_without_a_collection() -> None:
    """Each thread that logs has one, with a buffer of 256 KiB."""
    gc.disable()
    try:
        encoder = Encoder()
        encoder.value([Model(1, lambda: None)])
        gone = weakref.ref(encoder)
        del encoder
        assert gone() is None
    finally:
        gc.enable()


# -- values that change, or have no end ---------------------------------------------------------


@pytest.mark.parametrize("beside", [b"", LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "change",
    [
        lambda items: items.append(4),
        lambda items: items.clear(),
        lambda items: items.pop(),
    ],
    ids=["more", "none", "fewer"],
)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_list_that_changes_meanwhile_is_an_error(
    beside: bytes, change: Callable[[list[Any]], object], depth: int
) -> None:
    """Another thread may change it whenever code of Python runs: no reader could take the message."""
    items: list[Any] = []
    items += [Model(1, lambda: change(items)), 2, 3]
    encoder = Encoder()
    value = [items, beside] if depth else [*items[:0], beside, items][1]
    with pytest.raises(EncodeError, match=r"changed size during iteration; a tool that .* a copy"):
        encoder.result(1, value)
    assert decode_value(bytes(encoder.value([1]))) == [1]


@pytest.mark.parametrize("value", [Endless(), EndlessSet(), EndlessMapping()], ids=repr)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": [LARGE, v]}])
def test_what_never_becomes_plain_is_an_error(value: Any, wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(EncodeError, match=r"no form on the wire|more items than its length"):
        Encoder().result(1, wrap(value))
