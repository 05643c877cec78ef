"""Tools with ``validate``: arguments are what the annotations say, or refused with their path."""

import enum
import functools
import timeit
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypeVar,
    Union,
)
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest

from bridge import Adapter, AdapterError, Context, ThreadSafeAdapter, tool
from bridge.adapter import bind_tools
from bridge.calls.served_tool import ServedTool
from bridge.loading import adapt

from . import typed_functions
from .test_plain import refused, served

msgspec = pytest.importorskip("msgspec", reason="the extra typed is not here")
annotated_types = pytest.importorskip("annotated_types")
pydantic = pytest.importorskip("pydantic")
typing_extensions = pytest.importorskip("typing_extensions")

T = TypeVar("T")
UserId = NewType("UserId", int)
ID = "12345678-1234-5678-1234-567812345678"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


@dataclass
class Item:
    name: str
    price: Decimal
    tags: list[bytes] = field(default_factory=list)
    parts: list["Item"] = field(default_factory=list)


class Filter(typing_extensions.TypedDict):
    low: int
    high: NotRequired[float]


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Box(msgspec.Struct, rename="camel"):
    inner_color: Color
    raw: bytes = b""


class Model(pydantic.BaseModel):
    n: int
    names: list[str] = []


class Name(str):
    pass


@dataclass
class Pair(Generic[T]):
    first: T
    second: T


validated = functools.partial(served, validate=True)


def accepts(annotation: Any) -> Callable[[Any], Any]:
    def take(value):
        return value

    take.__annotations__ = {"value": annotation}
    return validated(take)


@pytest.mark.parametrize(
    ("annotation", "given", "got"),
    [
        (int, 5, 5),
        (float, 5, 5.0),
        (str, b"a\xc3\xb1", "añ"),
        (bytes, "abcd", b"abcd"),  # which is base64, too
        (bytes | None, None, None),
        (bytearray, "abcd", bytearray(b"abcd")),
        (str | bytes, b"x", b"x"),
        (Color, "red", Color.RED),
        (Bits, 3, Bits.ONE | Bits.TWO),
        (Literal["a", 1], 1, 1),
        (int | None, None, None),
        (UserId, 5, 5),
        (Name, "x", Name("x")),
        (datetime, NOW, NOW),
        (datetime, "2026-11-28T12:00:00Z", NOW),
        (date, "2026-11-28", date(2026, 11, 28)),
        (timedelta, 1.5, timedelta(seconds=1.5)),
        (timedelta, "PT1S", timedelta(seconds=1)),
        (list[timedelta], [1, 2], [timedelta(seconds=1), timedelta(seconds=2)]),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, 3, Decimal(3)),
        (Fraction, "1/3", Fraction(1, 3)),
        (complex, 2.5, 2.5 + 0j),
        (UUID, ID, UUID(ID)),
        (Path, "a/b", Path("a/b")),
        (list[bytes], ["abcd", b"\xff"], [b"abcd", b"\xff"]),
        (dict[str, bytes], {"k": "abcd"}, {"k": b"abcd"}),
        (dict[int, bytes], {"1": "abcd", 2: b"x"}, {1: b"abcd", 2: b"x"}),
        (dict[bytes, int], {"k": 1}, {b"k": 1}),
        (tuple[int, bytes], [1, "abcd"], (1, b"abcd")),
        (tuple[bytes, ...], ["a", "b"], (b"a", b"b")),
        (set[int], [1, 1, 2], {1, 2}),
        (frozenset[str], ["a", b"b"], frozenset(["a", "b"])),
        (Iterable[int], [1], [1]),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (list[Color] | None, ["blue"], [Color.BLUE]),
        (Filter, {"low": 1}, {"low": 1}),
        (Point, [1, 2], Point(1.0, 2.0)),
        (Box, {"innerColor": "red", "raw": "abcd"}, Box(Color.RED, b"abcd")),
        (Item, {"name": b"n", "price": "1.5", "tags": ["abcd"], "parts": [{"name": "p", "price": 2}]},
         Item("n", Decimal("1.5"), [b"abcd"], [Item("p", Decimal(2))])),
        (Pair[Color], {"first": "red", "second": "blue"}, Pair(Color.RED, Color.BLUE)),
        (Model, {"n": 1}, Model(n=1)),
        (dict[str, list[Model]], {"k": [{"n": 1, "names": ["a"]}]}, {"k": [Model(n=1, names=["a"])]}),
        (Filter | Item, {"low": 1}, {"low": 1}),
        (str | datetime, "x", "x"),
        (Annotated[int, msgspec.Meta(gt=3)], 4, 4),
        (Annotated[int, annotated_types.Gt(3)], 4, 4),
        (Annotated[int, "about it"], 4, 4),
        (list[T], [1, "a"], [1, "a"]),
        (Any, object, object),
        (None, None, None),
        (deque[Color], ["red"], deque([Color.RED])),
        (pydantic.HttpUrl, "http://a/", pydantic.HttpUrl("http://a/")),
    ],
)  # fmt: skip
def test_arguments_become_what_is_annotated(annotation, given, got):
    made = accepts(annotation)(given)
    assert made == got
    assert type(made) is type(got)


@pytest.mark.parametrize(
    ("annotation", "given", "path", "what"),
    [
        (int, "5", "value", "Expected int, got str"),
        (int, True, "value", "Expected int, got bool"),
        (int, 2.5, "value", "Expected int, got float"),
        (str, b"\xff", "value", "Expected str, got bytes"),
        (bytes, 5, "value", "Expected bytes, got int"),
        (str, None, "value", "Expected str, got None"),
        (list[int], {}, "value", "Expected a list, got a map"),
        (Color, "green", "value", "Invalid enum value 'green'"),
        (datetime, "yesterday", "value", "Invalid RFC3339 encoded datetime"),
        (UUID, "1", "value", "Invalid UUID"),
        (Path, 5, "value", "Expected Path, got int"),
        (Fraction, "a", "value", "Invalid literal for Fraction: 'a'"),
        (list[dict[str, int]], [{}, {"a": None}], "value[1][...]", "Expected int, got None"),
        (dict[int, int], {"x": 1}, "a key of value", "Expected int, got str"),
        (Item, {"name": "n", "price": 1, "parts": [{"name": 5, "price": 1}]}, "value.parts[0].name",
         "Expected str, got int"),
        (Item, {"name": "n"}, "value", "missing required field price"),
        (Filter, {"low": 1, "high": "x"}, "value.high", "Expected float, got str"),
        (Box, {"innerColor": 1}, "value.innerColor", "Expected str, got int"),
        (Model, {"n": "x"}, "value.n", "Input should be a valid integer"),
        (list[Model], [{"n": 1, "names": [1]}], "value[0].names[0]", "Input should be a valid string"),
        (Annotated[int, msgspec.Meta(gt=3)], 3, "value", "Expected int >= 4"),
        (Annotated[int, annotated_types.Gt(3)], 3, "value", "Input should be greater than 3"),
    ],
)  # fmt: skip
def test_what_cannot_become_it_is_refused_with_its_path(annotation, given, path, what):
    error = refused(accepts(annotation), given)
    assert error.details == {"parameter": "value", "path": path}
    assert error.message.startswith(f"take: {path}: ")
    assert what in error.message
    assert refused(accepts(annotation), value=given).details["path"] == path


def test_arrays():
    take = accepts(npt.NDArray[np.float32])
    made = take([1, 2.5])
    assert (made.dtype, made.tolist()) == (np.float32, [1.0, 2.5])
    assert take(np.arange(3)).dtype == np.float32
    same = np.zeros(2, np.float32)
    assert take(same) is same
    assert take([]).shape == (0,)
    assert accepts(np.ndarray)([[1], [2]]).shape == (2, 1)
    assert accepts(np.ndarray | None)(None) is None
    assert accepts(npt.NDArray[np.floating[Any]])(same) is same
    either = accepts(npt.NDArray[np.float64] | list[str])
    assert either(["a"]) == ["a"]
    assert either(np.zeros(1)).tolist() == [0.0]
    assert accepts(list[int])(np.arange(3)) == [0, 1, 2]
    for wrong in ("x", [["a"]], [[1], [1, 2]], None, np.array(["a"])):
        assert refused(take, wrong).details["path"] == "value"
    assert "Expected an array of int8, got one of float64" in str(
        refused(accepts(npt.NDArray[np.int8]), np.zeros(1))
    )


def test_every_kind_of_parameter():
    @validated
    def f(ctx: Context, a: int, b: Color, *rest: bytes, c: float = 1.0, **more: Color):
        return ctx, a, b, rest, c, more

    assert f("C", 1, "red", "abcd", c=2, z="blue") == (
        *("C", 1, Color.RED, (b"abcd",), 2.0),
        {"z": Color.BLUE},
    )
    assert refused(f, "C", 1, "red", "a", 5).details["path"] == "rest[1]"
    assert refused(f, "C", 1, "red", c="x").details["path"] == "c"
    assert refused(f, "C", 1, "red", z="x").details["parameter"] == "more"
    assert refused(f, "C", "x", "red").details["path"] == "a"

    @validated
    def g(a: int, *, ctx: Context, __b: bytes = b"", **more: Any):
        return a, ctx, __b, more

    assert g(a=1, ctx="C", __b="x", y=2) == (1, "C", b"x", {"y": 2})

    @validated
    def h(**filters: typing_extensions.Unpack[Filter]):
        return filters

    assert h(low=1) == {"low": 1}
    assert refused(h, low="x").details["path"] == "filters.low"

    @validated
    def none_given(a: int = 1, b: Color = Color.RED):
        return a, b

    assert none_given() == (1, Color.RED)
    assert none_given(b="blue") == (1, Color.BLUE)


def test_an_error_of_the_callers_own_class_is_a_refusal():
    @dataclass
    class Positive:
        n: int

        def __post_init__(self):
            if self.n < 0:
                raise ValueError("must not be negative")

    assert "must not be negative" in refused(accepts(list[Positive]), [{"n": -1}]).message


def test_annotations_that_are_text():
    count = validated(typed_functions.count)
    assert count({"name": "a", "children": [{"name": "b", "data": "abcd"}]}, 2) == 2
    assert refused(count, {"name": "a", "children": [{}]}).details["path"] == "node.children[0]"
    assert validated(typed_functions.unwrapped)("anything") == "anything"
    tools = bind_tools(typed_functions.Nested())
    assert tools["order"].checks(({"item": "x"}, None), {})[0][0] == typed_functions.Nested.Order(
        "x"
    )
    assert tools["anything"].checks is None


def test_a_decorator_that_keeps_the_signature():
    def twice(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return [function(*args, **kwargs)] * 2

        return call

    @validated
    @twice
    def f(color: Color):
        return color

    assert f("red") == [Color.RED] * 2
    assert refused(f, "x").details["path"] == "color"
    assert validated_partial("red") == (1, Color.RED)


def _pair(n: int, color: Color):
    return n, color


def validated_partial(value):
    function = functools.partial(_pair, 1)
    function.__name__ = "partial"
    return validated(function)(value)


class Unknown:
    pass


def with_default(annotation: Any, default: Any) -> Callable[..., Any]:
    def f(value=default):
        return value

    f.__annotations__ = {"value": annotation}
    return f


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (
            typed_functions.pay,
            "name 'Decimal' is not defined. Where it is imported for type checkers",
        ),
        (typed_functions.misspelt, "name 'Decimla' is not defined"),
        (typed_functions.recursive, "contains itself without a class between"),
        (with_default(Unknown, None), "nothing that a caller sends becomes a Unknown"),
        (with_default(list[Unknown], None), "nothing that a caller sends becomes a Unknown"),
        (with_default(Iterator[int], None), "nothing that a caller sends becomes a Iterator"),
        (with_default(type[int], None), "nothing that a caller sends becomes a type"),
        (with_default("1 +", None), "cannot be read"),
        (with_default(int, "x"), "its default 'x' does not fit: Expected int, got str"),
        (with_default(Color, "red"), "its default 'red' is no Color"),
        (with_default(Annotated[int, annotated_types.Gt(3)], 2), "its default 2 does not fit"),
    ],
)
def test_what_cannot_be_validated_is_said_at_the_start(function, what):
    class Tools(ThreadSafeAdapter, validate=True):
        pass

    Tools.f = staticmethod(tool(function))
    Tools.__tools__ = ("f",)
    with pytest.raises(AdapterError) as caught:
        adapt("tools:Tools", Tools())
    assert str(caught.value).startswith("tools:Tools: f: the parameter ")
    assert what in str(caught.value)
    assert "@tool(validate=False)" in str(caught.value)


@pytest.mark.parametrize("default", [None, Unknown(), ..., Color.RED])
def test_defaults_that_are_marks_are_left_alone(default):
    f = validated(with_default(Color, default))
    assert f() is default
    assert f("blue") is Color.BLUE


def test_who_says_whether_to_validate():
    class Base(Adapter, validate=True):
        @tool
        def typed(self, color: Color):
            return color

        @tool(validate=False)
        def free(self, color: Color):
            return color

    class Child(Base):
        pass

    class Other(Base, validate=False):
        pass

    assert [bind_tools(Child())[name].checks is None for name in ("typed", "free")] == [False, True]
    assert bind_tools(Other())["typed"].checks is None


def test_the_same_tool_with_another_function_is_validated_all_the_same():
    class Tools(Adapter, validate=True):
        @tool
        def typed(self, color: Color):
            return color

    other = bind_tools(Tools())["typed"].calling(lambda color: [color])
    assert ServedTool(other, None).function("red") == [Color.RED]


def test_it_costs_little():
    @validated
    def five(a: int, b: float, c: str, d: Color, e: list[int]):
        return None

    seconds = min(timeit.repeat(lambda: five(1, 2.0, "x", "red", [1]), number=2000, repeat=9))
    assert seconds / 2000 < 60e-6  # it is two; the machine may be busy


def test_a_union_of_everything():
    take = accepts(Union[int, str, list[int], dict[str, int], None])  # noqa: UP007
    for value in (1, "a", [1], {"a": 1}, None):
        assert take(value) == value
    assert refused(take, [b""]).details["path"] == "value[0]"
