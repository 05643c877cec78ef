"""values.py: what rich Python objects become on the wire, and what the extensions bring back."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import fractions
import pathlib
import re
import subprocess
import sys
import types
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given

from bridge.errors import EncodeError, RemoteProtocolError
from bridge.wire.codec import Encoder, decode_value
from bridge.wire.values import DTYPES, MAX_RANK
from tests.equality import deep_equal
from tests.strategies import tensors


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


def passed(value: Any) -> Any:
    """The value as it arrives."""
    return decode_value(Encoder().value(value))


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


def test_a_tensor_of_torch_becomes_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for its elements wherever they are: on a device, with or without gradients."""

    class Tensor:
        def numpy(self, *, force: bool = False) -> Any:
            return np.array([1.0, 2.0]) if force else pytest.fail("needs force=True")

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=Tensor))
    assert deep_equal(passed(Tensor()), np.array([1.0, 2.0]))


REFUSED = [object(), 1j, np.complex64(1), fractions.Fraction(1, 3), len, np, Person, iter([])]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__qualname__)
def test_what_has_no_form_is_named(value: Any) -> None:
    with pytest.raises(EncodeError, match=r"^value\.x\[1\] cannot be encoded: no form on the wire"):
        Encoder().value({"x": [0, value]})


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()]), np.zeros(2, "M8[s]")])
def test_an_array_of_something_else_is_refused(array: Any) -> None:
    with pytest.raises(
        EncodeError, match=rf"array of dtype {re.escape(str(array.dtype))} .*; there are u8"
    ):
        Encoder().value(array)


def test_a_rank_beyond_the_highest_is_refused() -> None:
    if int(np.__version__.split(".")[0]) < 2:
        pytest.skip("NumPy 1 has no such rank")
    with pytest.raises(EncodeError, match="rank 33"):
        Encoder().value(np.zeros((1,) * (MAX_RANK + 1)))


def test_a_long_double_is_named() -> None:
    """Its Python value is itself; that must not be taken for a value nested too deeply."""
    with pytest.raises(EncodeError, match="longdouble"):
        Encoder().value(np.longdouble(1))


def test_the_error_of_a_model_is_told() -> None:
    class Broken:
        def model_dump(self) -> None:
            raise ValueError("field missing")

    with pytest.raises(EncodeError, match=r"^value\[0\] cannot be encoded: field missing"):
        Encoder().value([Broken()])


@given(tensors())
def test_tensors_survive(array: np.ndarray[Any, Any]) -> None:
    assert deep_equal(passed(array), array)


def test_every_element_type_has_a_row() -> None:
    """bf16 is not NumPy's own."""
    assert " ".join(DTYPES) == "u8 u16 u32 u64 s8 s16 s32 s64 f16 f32 f64 c64 c128"


def test_what_an_array_masks_is_not_sent() -> None:
    array = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(EncodeError, match=r"result\.a .* masked elements; filled\(\)"):
        Encoder().result(1, {"a": array})
    whole = np.ma.array([1.0, 2.0], mask=[False, False])
    assert decode_value(Encoder().value(whole)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [">i4", ">f8", ">u2", ">c8"])
def test_big_endian_arrays_arrive_little_endian(dtype: str) -> None:
    array = np.array([[1, 2], [3, 4]], dtype)
    assert deep_equal(passed(array), array.astype(np.dtype(dtype).newbyteorder("<")))


def test_arrays_that_lie_otherwise_in_memory_arrive_row_by_row() -> None:
    square = np.arange(12, dtype="int32").reshape(3, 4)
    for array in (square.T, square[::2, ::-1], np.asfortranarray(square)):
        assert deep_equal(passed(array), np.ascontiguousarray(array))


def test_booleans_arrive_as_u8() -> None:
    assert deep_equal(passed(np.array([True, False])), np.array([1, 0], "uint8"))


def test_an_array_that_arrived_cannot_be_written() -> None:
    """It is a view of the message."""
    assert passed(np.zeros(2)).flags.writeable is False


def test_bfloat16_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes.fromhex("c71a02 6266313600000000 0100000000000000 0100000000000000 c03f")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(RemoteProtocolError, match="pip install ml_dtypes"):
        decode_value(data)
    stand_in = types.SimpleNamespace(bfloat16=np.uint16)
    monkeypatch.setitem(sys.modules, "ml_dtypes", stand_in)
    assert deep_equal(decode_value(data), np.array([0x3FC0], "uint16"))


def test_microseconds_do_not_pass_through_floats() -> None:
    for microsecond in (1, 123456, 999999):
        for year in (1, 1969, 2026, 9999):
            moment = datetime(year, 6, 1, 23, 59, 59, microsecond, UTC)
            assert passed(moment) == moment


def test_numpy_is_imported_by_the_first_tensor_only() -> None:
    """Neither other values nor values that cannot be encoded need it."""
    program = """if True:
        import sys
        from bridge.wire.codec import Encoder, decode_value
        value = [2**64, 1.5, "text", b"bytes", {1: None}, {2}]
        decode_value(Encoder().value(value))
        try:
            Encoder().value(object())
        except TypeError:
            pass
        assert "numpy" not in sys.modules
        tensor = bytes.fromhex("c7110275380000000000000000000000000000") + bytes([7])
        assert decode_value(tensor).tolist() == 7
        assert "numpy" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
