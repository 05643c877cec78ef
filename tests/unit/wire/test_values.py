"""values.py: what rich Python objects become on the wire, and what the extensions bring back."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import pathlib
import types
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

import numpy as np
import pytest

from bridge.errors import EncodeError
from bridge.wire.codec import Encoder, decode_value
from tests.equality import deep_equal
from tests.wire_messages import passed


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Pause(enum.Enum):
    SHORT = timedelta(seconds=2)


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Person:
    name: str
    born: date


class Model:
    """As pydantic's: rich values may be inside what model_dump() returns."""

    def model_dump(self) -> dict[str, Any]:
        return {"at": Colour.RED}


class Own(collections.UserDict[str, int]):
    pass


class Tagged(dict[str, int]):
    pass


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

ROWS = {
    "integer beyond 64 bits": (2**64, 2**64),
    "negative integer beyond 64 bits": (-(2**63) - 1, -(2**63) - 1),
    "aware datetime": (NOON, NOON),
    "datetime of another zone": (NOON.astimezone(timezone(timedelta(hours=-5))), NOON),
    "array": (np.array([1.5]), np.array([1.5])),
    "scalar: float": (np.float32(0.5), 0.5),
    "scalar: integer": (np.uint64(2**64 - 1), 2**64 - 1),
    "scalar: boolean": (np.bool_(True), True),
    "scalar: time": (np.datetime64("2026-11-23T12:00:00", "us"), "2026-11-23T12:00:00"),
    "dataclass": (Person("Ada", date(1815, 12, 10)), {"name": "Ada", "born": "1815-12-10"}),
    "named tuple": (Point(1, 2), [1, 2]),
    "model": (Model(), {"at": "red"}),
    "enum": (Colour.RED, "red"),
    "enum of integers": (Level.HIGH, 3),
    "enum of rich values": (Pause.SHORT, 2.0),
    "set": ({7}, [7]),
    "frozenset": (frozenset([7]), [7]),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "keys": ({1: 2}.keys(), [1]),
    "values": ({1: 2}.values(), [2]),
    "items": ({1: 2}.items(), [[1, 2]]),
    "tuple": ((1, (2,)), [1, [2]]),
    "user dict": (Own(a=1), {"a": 1}),
    "mapping proxy": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "dict subclass": (Tagged(a=1), {"a": 1}),
    "ordered dict": (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "path": (pathlib.PurePosixPath("a/b"), "a/b"),
    "naive datetime": (datetime(2026, 11, 23, 12), "2026-11-23T12:00:00"),
    "date": (date(2026, 11, 23), "2026-11-23"),
    "time": (time(12, 30), "12:30:00"),
    "timedelta": (timedelta(milliseconds=1500), 1.5),
    "bytearray": (bytearray(b"\xff"), b"\xff"),
    "memoryview": (memoryview(b"\xff"), b"\xff"),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_a_value_becomes(row: str) -> None:
    value, arrives = ROWS[row]
    assert deep_equal(passed(value), arrives)


@pytest.mark.parametrize("row", ROWS)
def test_what_it_becomes_inside_others(row: str) -> None:
    value, arrives = ROWS[row]
    assert deep_equal(passed([{"x": (value,)}, 1]), [{"x": [arrives]}, 1])


REFUSED = [object(), 1j, np.complex64(1), len, np, Person, iter([])]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__qualname__)
def test_what_has_no_form_is_named(value: Any) -> None:
    with pytest.raises(EncodeError, match=r"^value\.x\[1\] cannot be encoded: no form on the wire"):
        Encoder().value({"x": [0, value]})


def test_the_error_of_a_model_is_told() -> None:
    class Broken:
        def model_dump(self) -> None:
            raise ValueError("field missing")

    with pytest.raises(EncodeError, match=r"^value\[0\] cannot be encoded: field missing"):
        Encoder().value([Broken()])


def test_microseconds_do_not_pass_through_floats() -> None:
    for microsecond in (1, 123456, 999999):
        for year in (1, 1969, 2026, 9999):
            moment = datetime(year, 6, 1, 23, 59, 59, microsecond, UTC)
            assert passed(moment) == moment


def test_a_view_that_was_released_is_refused_with_its_place() -> None:
    view = memoryview(b"x")
    view.release()
    for value, path in ((view, "result"), ({"a": [view]}, "result.a[0]")):
        with pytest.raises(EncodeError) as caught:
            Encoder().result(1, value)
        assert str(caught.value).startswith(f"{path} cannot be encoded: operation forbidden")


def test_fields_of_msgspec_that_are_not_set_are_left_out() -> None:
    msgspec = pytest.importorskip("msgspec")
    fields = [("a", int), ("b", int, msgspec.UNSET)]
    struct = msgspec.defstruct("Point", fields, tag="p")
    value = decode_value(Encoder().value(struct(1)))
    assert value == {"type": "p", "a": 1} == msgspec.to_builtins(struct(1))
