"""What is made of values that JSON cannot say: as Snakepit's worker, or better where it says so."""

import base64
import json
import runpy
import uuid
from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path

import pytest

pytest.importorskip("google.protobuf")

from bridge._generated import snakepit_bridge_pb2 as pb
from bridge.errors import EncodeError
from bridge.snakepit.graceful import Graceful
from bridge.snakepit.zero_copy import make_reference
from bridge.wire import Forms

#: Under the name that it was recorded with.
CONTRACT = runpy.run_path(
    str(Path(__file__).parents[2] / "integration" / "snakepit_contract.py"),
    run_name="snakepit_contract",
)
VECTORS = Path(__file__).parents[2] / "vectors" / "snakepit"
RUNS = json.loads((VECTORS / "0.13.0.json").read_text())["runs"]
Point = namedtuple("Point", "x y")
MARK = "__ffi_unserializable__"


def graceful(**env):
    return Graceful(env, lambda kind: None)


def encode(value, **env):
    return json.loads(graceful(**env).encode({"value": value}, "result"))["value"]


def recorded(entry):
    (message,) = map(base64.b64decode, entry["messages"])
    return json.loads(pb.ExecuteToolResponse.FromString(message).result.value)


@pytest.mark.parametrize("run", [run for run in RUNS if run])
def test_the_detail_of_a_marker_is_what_the_environment_says(run):
    """0.13.0, ExecuteTool: ``priv/python/snakepit_bridge/serialization.py``, as recorded."""
    for entry in RUNS[run]["calls"]:
        value = CONTRACT["values"]()[entry["arguments"]["what"]]
        found = json.loads(Graceful(RUNS[run]["env"], print).encode_result(value, "result"))
        expected = recorded(entry)
        for each in (found["value"], expected["value"]):
            if "__repr__" in each:  # a function has another address here
                each["__repr__"] = each["__repr__"].partition(" at 0x")[0]
        assert found == expected


def test_a_marker_is_told_of_once_for_each_type():
    seen = []
    encoder = Graceful({}, seen.append)
    for _ in range(2):
        encoder.encode([b"", b"", object(), {"a": 1 + 2j}], "result")
    assert seen == ["builtins.bytes", "builtins.object", "builtins.complex"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1, 2}, [1, 2]),
        (frozenset(), []),
        (Decimal("1.50"), "1.50"),
        (2**70, 2**70),
        (Path("a") / "b", "a/b"),
        (uuid.UUID(int=2), "00000000-0000-0000-0000-000000000002"),
        (OrderedDict(a=(1, 2)), {"a": [1, 2]}),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        (Enum("E", {"A": float("nan")}).A, None),
        (IntEnum("N", {"A": 3}).A, 3),
        ({Enum("E", {"K": "key"}).K: 1}, {"key": 1}),
        (type("Text", (str,), {})("t"), "t"),
        (type("Number", (int,), {})(2**65), 2**65),
        (type("Real", (float,), {})("inf"), None),
    ],
)
def test_what_has_a_natural_form_keeps_it(value, expected):
    assert encode(value) == expected


def test_a_named_tuple_is_a_list_for_versions_that_had_it_so():
    encoder = Graceful({}, print, named_tuples=False)
    assert json.loads(encoder.encode([Point(1, 2)], "result")) == [[1, 2]]
    assert encode(Point(Point(1, b""), 2))["x"]["x"] == 1


class Hostile:
    """Every attribute raises."""

    def __getattribute__(self, name):
        if name == "__class__":
            return object.__getattribute__(self, name)
        raise RuntimeError(name)


def test_what_answers_strangely_is_a_marker():
    for value in (Hostile(), [Hostile()], type("Meta", (type,), {})("C", (), {})):
        assert MARK in json.dumps(encode(value))


def test_a_reference_becomes_its_map_again():
    payload = {"__snakepit_zero_copy__": True, "kind": "dlpack", "shape": [2, 3], "ref": "r"}
    assert encode(make_reference(payload)) == payload


def test_arrays_are_lists_up_to_the_limit():
    numpy = pytest.importorskip("numpy")
    limit = {"SNAKEPIT_TOLIST_MAX_ELEMENTS": "4"}
    assert encode(numpy.arange(4).reshape(2, 2), **limit) == [[0, 1], [2, 3]]
    assert encode(numpy.float32(1.5)) == 1.5
    assert encode(numpy.array([1.0, numpy.nan])) == [1.0, None]
    assert encode(numpy.arange(5), **limit)["__type__"] == "numpy.ndarray"
    assert encode(numpy.arange(5), SNAKEPIT_TOLIST_MAX_ELEMENTS="any")[4] == 4
    times = numpy.array([["2024-01-01", "NaT"]], "datetime64[ns]")
    assert encode(times) == [["2024-01-01T00:00:00", None]]
    assert encode(numpy.timedelta64(1500, "ms")) == 1.5


class Sparse:
    nnz, shape = 1, (1000, 1000)

    def tolist(self):
        raise AssertionError("it would be a million elements")


class Frame:
    size, values = 9, None
    tolist = Sparse.tolist


class NestedLists:
    def tolist(self):
        return [[1, 2], [[3], 4, 5]]


@pytest.mark.parametrize("value", [Sparse(), Frame(), NestedLists()])
def test_what_is_larger_than_the_limit_is_not_even_listed(value):
    assert encode(value, SNAKEPIT_TOLIST_MAX_ELEMENTS="4")[MARK] is True


def test_a_list_for_which_there_is_no_memory_is_a_marker():
    class Vast:
        def tolist(self):
            raise MemoryError

    assert encode(Vast())[MARK] is True


def test_a_missing_time_of_pandas_is_nil():
    members = {"isoformat": lambda self: "NaT", "__module__": "pandas._libs.tslibs.nattype"}
    assert encode(type("NaTType", (), members)()) is None


@pytest.mark.parametrize("keys", [(1, "1"), (None, "null"), (Enum("E", {"K": "key"}).K, "key")])
def test_of_keys_that_become_the_same_none_is_lost(keys):
    with pytest.raises(EncodeError, match=r"result.value.* cannot be encoded: "):
        encode(dict.fromkeys(keys, 0))


def test_what_contains_itself_is_refused_with_its_name():
    endless = []
    endless.append(endless)
    with pytest.raises(EncodeError, match=r"^result cannot be encoded: it is nested too deeply"):
        graceful().encode(endless, "result")


def test_encoders_of_the_adapter_go_first():
    class Money:
        def __init__(self, cents):
            self.cents = cents

    class Label(str):
        __slots__ = ()

    forms = Forms(
        {Money: lambda money: {"cents": [money.cents]}, Label: lambda label: [str(label)]}
    )
    encoder = Graceful({}, lambda kind: None, own=forms.own)
    value = {"a": [Money(1), (Money(Label("x")),)], "b": Label("y"), "c": Decimal(1)}
    assert json.loads(encoder.encode_result(value, "result")) == {
        "a": [{"cents": [1]}, [{"cents": [["x"]]}]],
        "b": ["y"],
        "c": "1",
    }
    assert json.loads(encoder.encode_result(Money(2), "result")) == {"cents": [2]}
    endless = Graceful({}, lambda kind: None, own=Forms({Money: lambda money: [money]}).own)
    with pytest.raises(EncodeError, match="contains itself"):
        endless.encode_result(Money(1), "result")
