"""Details of errors, notes, log and progress whose classes never end, or exit: no code of theirs is run."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from itertools import count
from subprocess import CalledProcessError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.calls.failures import describe_failure
from bridge.errors import CallError
from bridge.wire import Encoder, decode_value, sendable
from bridge.wire.derived import exactly
from tests.equality import deep_equal
from tests.strategies import wire_values

#: What a class derived from one of MessagePack's own can say instead of what it is.
CODE = (
    *(
        "__iter__",
        "__len__",
        "__getitem__",
        "__str__",
        "__repr__",
        "__eq__",
        "__hash__",
        "__bool__",
    ),
    *("__int__", "__index__", "__float__", "__bytes__", "__le__", "__lt__", "__gt__", "__abs__"),
    *("items", "keys", "values", "encode", "decode", "bit_length", "splitlines", "copy"),
)


def hostile(base: type, how: str) -> type:
    def exits(self: Any, *args: Any, **options: Any) -> Any:
        raise SystemExit(3)

    def never_ends(self: Any, *args: Any, **options: Any) -> Any:
        return count()

    code = exits if how == "exits" else never_ends
    return type("Hostile", (base,), {name: code for name in CODE if hasattr(base, name)})


BASES: list[tuple[type, Any]] = [
    (list, [1, 2]),
    (tuple, (1, 2)),
    (dict, {"a": 1}),
    (str, "text"),
    (int, 5),
    (float, 1.5),
    (bytes, b"\xff"),
    (bytearray, bytearray(b"\xff")),
]
HOSTILE = [
    pytest.param(base, content, how, id=f"{base.__name__} {how}")
    for base, content in BASES
    for how in ("exits", "never ends")
]


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("base", "content", "how"), HOSTILE)
def test_details_and_notes_of_hostile_classes_are_what_they_are(
    base: type, content: Any, how: str
) -> None:
    value = hostile(base, how)(content)
    expected = plain(content)
    nested = {"a": [value, (value,)]}
    for encode in (exactly, sendable):
        assert encode(value) == expected
        assert encode(nested) == {"a": [expected, [expected]]}
    wire = {"code": "internal", "message": "", "details": nested}
    answer = decode_value(Encoder().error(1, wire))
    assert answer[2]["details"] == {"a": [expected, [expected]]}


@pytest.mark.parametrize(("base", "content", "how"), HOSTILE)
def test_what_exceptions_carry_is_told_whatever_its_class_does(
    base: type, content: Any, how: str
) -> None:
    value = hostile(base, how)(content)
    noted = ValueError("no")
    noted.__notes__ = value
    inner = ValueError("inner")
    inner.__notes__ = [value]
    noted.__cause__ = ExceptionGroup("group", [inner])
    process = CalledProcessError(1, value, value, value)
    os_error = OSError(5, "no")
    os_error.filename = value
    odd = CallError("no", started=value, details={"a": value})
    for failure in (noted, process, os_error, odd):
        error = describe_failure(failure)
        assert error.started is True
        answer = decode_value(Encoder().error(1, error.to_wire()))
        assert answer[2]["code"] == "internal"
    assert describe_failure(noted).message == "no"
    assert describe_failure(os_error).details["errno"] == 5


def test_notes_are_told_as_python_tells_them() -> None:
    error = ValueError("no")
    error.add_note("one\ntwo")
    error.__cause__ = ExceptionGroup("group", [KeyError("inner")])
    error.__cause__.exceptions[0].add_note("of the inner one")
    lines = describe_failure(error).traceback
    assert lines[-3:] == ["ValueError: no", "one", "two"]
    assert "    | of the inner one" in lines
    error.__notes__ = [f"note {number}" for number in range(200)]
    assert len(describe_failure(error).traceback) <= 101


@given(wire_values())
def test_ordinary_values_are_the_same(value: Any) -> None:
    assert deep_equal(exactly(value), value)


def test_containers_of_derived_classes_are_copied_and_nothing_else() -> None:
    point = namedtuple("point", "x y")(1, OrderedDict(a=1))
    made = exactly([point, {"o": object}])
    assert made == [[1, {"a": 1}], {"o": object}]
    assert type(made[0]) is list
    assert type(made[0][1]) is dict
    assert exactly({(1, "a"): True}) == {(1, "a"): True}


def test_what_contains_itself_comes_to_an_end() -> None:
    value: list[Any] = [1]
    value += [value, {"again": value}]
    made = exactly(value)
    assert made[1] is made
    assert made[2]["again"] is made
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    exactly(deep)


@given(st.lists(st.integers(), max_size=300))
def test_long_ones_are_cut_as_before(numbers: list[int]) -> None:
    shown = sendable(numbers)
    assert shown[:100] == numbers[:100]
    assert len(shown) == min(len(numbers), 101)
