"""Plain annotations hold for every tool, whatever an argument looks like on the wire."""

from __future__ import annotations

import timeit

import pytest

from bridge import Context
from bridge.annotations.plain import plain_kinds, split_union
from bridge.calls.served_tool import ServedTool
from bridge.errors import InvalidParams
from bridge.tool import Tool, ToolOptions


def served(function, validate=None):
    """What the pool calls for a function."""
    options = ToolOptions(None, None, False, validate=validate)
    return ServedTool(Tool(function.__name__, function, options), None).function


def refused(function, *args, **kwargs) -> InvalidParams:
    with pytest.raises(InvalidParams) as caught:
        function(*args, **kwargs)
    assert caught.value.started is False
    return caught.value


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("int", {int, bool}),
        ("float", {float, int, bool}),
        ("str | None", {str, type(None)}),
        ("Optional[str]", {str, type(None)}),
        ("typing.Optional[List[int] | bytes]", {list, bytes, type(None)}),
        ("Union[int, 'str']", {int, bool, str}),
        ("dict[str, list[int | None]]", {dict}),
        ("'bytes'", {bytes}),
        ("Any", None),
        ("list[int] | Order", None),
        ("Literal['int']", None),
        ("other.int", None),
        ("int[3]", None),
        ("", None),
        (None, None),
    ],
)
def test_what_an_annotation_allows(text, kinds):
    assert plain_kinds(text, {}) == kinds


def test_what_a_module_calls_str_may_be_something_else():
    assert plain_kinds("str", {"str": object()}) is None
    assert plain_kinds("str", {"str": str}) == {str}


@pytest.mark.parametrize("text", ["|", "Union[,]", "[", "]", "Optional[", "''", "' '"])
def test_annotations_that_are_no_types_are_left_alone(text):
    split_union(text)
    assert plain_kinds(text, {}) is None


def test_bytes_and_text_are_what_is_annotated():
    @served
    def show(raw: bytes, text: str, either: str | bytes, free=None):
        return raw, text, either, free

    assert show("añ", b"a\xc3\xb1", b"x", b"y") == ("añ".encode(), "añ", b"x", b"y")
    assert show("", "", "x") == (b"", "", "x", None)
    assert show(raw="r", text=b"t", either="e") == (b"r", "t", "e", None)


def test_bytes_that_are_no_text_are_refused_where_text_is_wanted():
    @served
    def read(text: str | None):
        return text

    error = refused(read, b"ab\xff")
    assert "read: text is text, and the binary of 3 bytes is not: byte 2 is 0xff" in error.message
    assert error.details == {"parameter": "text", "path": "text"}


@pytest.mark.parametrize(
    "args", [("five",), (5, "yes"), (1.5,), (None,), ([1],), (b"5",), (5, None)]
)
def test_arguments_of_another_type_are_refused(args):
    @served
    def typed(n: int, flag: bool = False):
        raise AssertionError("it must not run")

    assert "the tool is typed(n: int, flag: bool = False)" in refused(typed, *args).message


def test_what_type_checkers_allow_is_allowed():
    @served
    def mean(x: float, n: int = None, rows: list[float] = ()):  # noqa: RUF013
        return x, n, rows

    assert mean(1, True, [1]) == (1, True, [1])
    assert mean(1, None) == (1, None, ())


def test_arrays_and_times_are_left_to_the_tool():
    class Array:
        pass

    @served
    def mean(values: list[float], at: float = 0):
        return values, at

    values = Array()
    assert mean(values, values) == (values, values)

    @served
    def greet(name: str):
        return name

    assert "must be str, got Array" in refused(greet, values).message


def test_the_context_is_none_of_the_callers_arguments():
    def first(ctx: Context, raw: bytes, *rest: bytes, k: str = "", **named: bytes):
        return ctx, raw, rest, k, named

    context = object()
    first = served(first)
    assert first(context, "a", "b", k=b"c", z="d") == (context, b"a", (b"b",), "c", {"z": b"d"})
    assert refused(first, context, "a", b"b", 5).details["path"] == "rest[1]"
    assert refused(first, context, "a", z=5).details == {"parameter": "named", "path": "z"}

    @served
    def last(raw: bytes, *, ctx: Context):
        return raw, ctx

    assert last("a", ctx=context) == (b"a", context)
    assert last(raw="a", ctx="text") == (b"a", "text")


def test_without_validation_the_tool_gets_what_comes():
    def show(raw: bytes):
        return raw

    assert served(show, validate=False)("x") == "x"


def test_a_tool_without_plain_annotations_is_called_directly():
    def show(value, other: Context | None = None):
        return value

    assert served(show) is show


def test_it_costs_little():
    def five(a: int, b: float, c: str, d: bytes, e: list[int]):
        return None

    checked = served(five)
    seconds = min(timeit.repeat(lambda: checked(1, 2.0, "x", b"y", [1]), number=2000, repeat=9))
    assert seconds / 2000 < 30e-6  # it is one; the machine may be busy
