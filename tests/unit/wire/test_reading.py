"""reading.py: what a message costs is in proportion to its size, whatever is in it."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire import reading
from bridge.wire.codec import Encoder, decode_message, decode_value
from tests.equality import deep_equal
from tests.strategies import wire_values

COUNT = 3000


def of_one_hash(count: int) -> list[Any]:
    """Integers beyond 64 bits that all have the same hash."""
    return [number * (2**61 - 1) for number in range(9, 9 + count)]


def led_into_a_chain() -> list[Any]:
    """Integers of 64 bits: small ones occupy places one after the other, large ones come by all."""
    size, mask, source = 1 << 10, (1 << 10) - 1, random.Random(1)
    chain = [1]
    while len(chain) < 500:
        chain.append((5 * chain[-1] + 1) & mask)
    number_of = {place: number for number, place in enumerate(chain)}
    found: list[int] = []
    while len(found) < 150:
        key = source.randrange(size, size << 10)
        place, rest = key & mask, key
        for _ in range(5):
            if place not in number_of:
                break
            rest >>= 5
            place = (place * 5 + rest + 1) & mask
        else:
            if number_of.get(place, size) < 100:
                found.append(key)
    return chain + list(dict.fromkeys(found))


def as_floats(keys: list[Any]) -> list[Any]:
    return [float(key) for key in keys]


@pytest.fixture
def suspicious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every large map is looked at, as if it had taken long."""
    monkeypatch.setattr(reading, "_SUSPICIOUS_S", -1e9)


@pytest.mark.usefixtures("suspicious")
@pytest.mark.parametrize(
    "keys",
    [of_one_hash(COUNT), led_into_a_chain(), as_floats(led_into_a_chain())],
    ids=["of one hash", "led into a chain", "floats"],
)
@pytest.mark.parametrize("text_before", [0, 1000])
def test_keys_that_collide_are_refused_wherever_they_stand(
    keys: list[Any], text_before: int
) -> None:
    texts = dict.fromkeys(map(str, range(text_before)))
    padding = "x" * reading.GUARDED_BYTES
    for value in (dict.fromkeys(keys), [[texts, {"a": dict.fromkeys(keys)}]]):
        with pytest.raises(
            RemoteProtocolError, match="keys or more whose hashes collide"
        ) as caught:
            decode_value(Encoder().value([padding, value]))
        assert caught.value.code == "resource_exhausted"


def test_keys_that_cost_much_are_refused_once_they_have() -> None:
    # all of them would take a hundred times of what is suspicious
    value = [dict.fromkeys(range(200)), {1: dict.fromkeys(range(9, 20_000))}]
    data = Encoder().value(value)
    assert decode_value(data) == value
    pairs = b"".join(Encoder().value(key) + b"\xc0" for key in of_one_hash(20_000))
    with pytest.raises(RemoteProtocolError, match="keys or more whose hashes collide"):
        decode_value(b"\xdf" + struct.pack(">I", 20_000) + pairs)


def collisions(keys: list[int], size: int) -> int:
    """How many occupied places a dict of this size goes through for these keys."""
    taken: set[int] = set()
    count = 0
    for key in keys:
        rest, place = hash(key) & (2**64 - 1), hash(key) & (size - 1)
        while place in taken:
            count += 1
            rest >>= 5
            place = (place * 5 + rest + 1) & (size - 1)
        taken.add(place)
    return count


@given(
    st.sampled_from([8, 16, 32, 64]).flatmap(
        lambda size: st.tuples(
            st.just(size),
            st.lists(
                st.integers(0, 2 * size) | st.integers(-(2**63), 2**64 - 1).map(lambda n: n & ~7),
                unique=True,
                max_size=size * 2 // 3,
            ),
        )
    )
)
def test_a_dict_that_grows_meets_no_more_collisions_than_it_met_before(
    case: tuple[int, list[int]],
) -> None:
    """Why it is enough to watch the insertions: growing costs no more than they did."""
    size, keys = case
    assert collisions(keys, 2 * size) <= collisions(keys, size)


def timestamps(count: int) -> list[Any]:
    return [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(count)]


RANDOM = random.Random(2)
SHUFFLED = list(range(COUNT))
RANDOM.shuffle(SHUFFLED)


@pytest.mark.parametrize(
    "keys",
    [
        range(COUNT), SHUFFLED, [n - COUNT // 2 for n in range(COUNT)], range(1, COUNT * 1000, 1000),
        [RANDOM.getrandbits(64) for _ in range(COUNT)], [RANDOM.random() for _ in range(COUNT)],
        [RANDOM.getrandbits(32) << 32 for _ in range(COUNT)], [n / 8 for n in range(COUNT)],
        [1_700_000_000_000_000_000 + n * 10**9 for n in range(COUNT)], timestamps(COUNT),
        [2**64 + n for n in range(COUNT)], [*range(COUNT), *map(str, range(COUNT))],
        *[[n << shift for n in range(COUNT)] for shift in range(4, 36, 4)],
    ],
    ids=lambda keys: f"{keys[1]}",
)  # fmt: skip
@pytest.mark.parametrize("looked_at", [False, True])
def test_keys_that_programs_have_are_read_whatever_their_pattern(
    keys: Any, looked_at: bool, request: pytest.FixtureRequest
) -> None:
    if looked_at:
        request.getfixturevalue("suspicious")
    value = dict.fromkeys(keys)
    there = decode_value(Encoder().value(value))
    assert list(there) == list(value)


@given(wire_values(), st.booleans())
def test_a_large_message_is_read_as_a_small_one(value: Any, numbers: bool) -> None:
    """By each of the three ways."""
    many = dict.fromkeys(range(200) if numbers else map(str, range(200)))
    large = ["x" * reading.GUARDED_BYTES, value, many]
    assert deep_equal(decode_value(Encoder().value(large)), large)


#: Three lists and maps of a few bytes each, and how many items are in it.
NEARLY_EMPTY = [b"\x80", b"\x90", b"\x91\xc0", b"\x81\x01\xc0", b"\x91\x90", b"\x81\xa1a\x80"]


@pytest.mark.parametrize("item", NEARLY_EMPTY, ids=bytes.hex)
@pytest.mark.parametrize("ahead", [b"", b"\x81\x01\xc0"], ids=["alone", "after a number as key"])
def test_too_many_lists_and_maps_are_refused_before_all_are_made(item: bytes, ahead: bytes) -> None:
    count = 20_000
    each = sum(byte >> 4 in (8, 9) for byte in item)
    items = count * each + 1 + bool(ahead)
    data = b"\xdd" + struct.pack(">I", count + bool(ahead)) + ahead + item * count
    assert len(decode_value(data, items)) == count + bool(ahead)
    with pytest.raises(RemoteProtocolError, match=r"more than \d+ lists and maps") as caught:
        decode_value(data, items - 1)
    assert caught.value.code == "resource_exhausted"


def test_the_request_is_known_whose_message_costs_too_much() -> None:
    frame = b"\x94\x00\x07\xa3add\x91\xdd" + struct.pack(">I", 10_000) + b"\x80" * 10_000
    with pytest.raises(RemoteProtocolError, match="lists and maps") as caught:
        decode_message(frame, 5000)
    assert caught.value.msgid == 7


def test_large_data_without_lists_and_maps_is_not_counted() -> None:
    value = [b"\x80" * 100_000, list(range(10_000))]
    assert decode_value(Encoder().value(value), 3) == value


@pytest.mark.parametrize("beginnings", [0, 5000], ids=["none but those", "others in data"])
def test_many_lists_and_maps_below_the_limit_are_read(beginnings: int) -> None:
    value = [b"\x80" * beginnings, *({"a": [n]} for n in range(2000))]
    assert decode_value(Encoder().value(value), 4001) == value
    with pytest.raises(RemoteProtocolError, match="more than 4000 lists and maps"):
        decode_value(Encoder().value(value), 4000)
