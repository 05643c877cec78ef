"""errors.py: who is to blame, and codes that survive the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import errors
from bridge.errors import CODES, CallError, RemoteProtocolError
from bridge.wire.codec import Encoder, decode_value
from tests.strategies import scalar_keys

CHILDREN = [
    errors.ToolNotFound,
    errors.InvalidParams,
    errors.ToolFailed,
    errors.Cancelled,
    errors.DeadlineExceeded,
    errors.PoolFull,
    errors.ShuttingDown,
    errors.Unimplemented,
]
FACTS = ("code", "message", "type", "traceback", "started", "details")


@pytest.mark.parametrize("code", ["teapot", ""])
def test_a_code_that_nobody_knows_is_unknown(code: str) -> None:
    """One bad answer is an error of one call."""
    assert CallError.from_wire({"code": code, "message": "short and stout"}).code == "unknown"


def facts(error: CallError) -> tuple[object, ...]:
    return tuple(getattr(error, name) for name in FACTS)


def test_the_codes_are_the_sixteen_of_grpc() -> None:
    assert sorted(CODES) == [
        "aborted",
        "already_exists",
        "cancelled",
        "data_loss",
        "deadline_exceeded",
        "failed_precondition",
        "internal",
        "invalid_argument",
        "not_found",
        "out_of_range",
        "permission_denied",
        "resource_exhausted",
        "unauthenticated",
        "unavailable",
        "unimplemented",
        "unknown",
    ]


def test_the_list_of_children_is_complete() -> None:
    """Children that a test or a tool defines do not count, nor one that has the code of another's error."""
    ours = [child for child in CallError.__subclasses__() if child.__module__ == errors.__name__]
    assert set(ours) - {errors.ElixirError} == set(CHILDREN)


def test_every_child_has_a_code_of_its_own() -> None:
    codes = [child.code for child in CHILDREN]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= CODES


@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_comes_back_as_itself(child: type[CallError]) -> None:
    error = child("words", type="a.B", traceback=["line"], started=True, details={"x": 1})
    back = CallError.from_wire(error.to_wire())
    assert type(back) is child
    assert facts(back) == facts(error)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_survives_the_wire(code: str) -> None:
    data = Encoder().value(CallError("words", code=code).to_wire())
    back = CallError.from_wire(decode_value(data))
    assert (back.code, str(back)) == (code, "words")


def test_only_known_facts_are_sent() -> None:
    assert CallError("words").to_wire() == {"code": "internal", "message": "words"}


def test_started_false_is_a_fact() -> None:
    """It tells the caller that a retry repeats no work."""
    assert CallError("words", started=False).to_wire()["started"] is False


@given(
    st.sampled_from(sorted(CODES)),
    st.text(),
    st.none() | st.text(),
    st.none() | st.lists(st.text(), max_size=3),
    st.none() | st.booleans(),
    st.none() | st.dictionaries(st.text(), st.integers(), max_size=3),
)
def test_all_facts_survive_the_wire(code, message, type, traceback, started, details) -> None:
    error = CallError(
        message, code=code, type=type, traceback=traceback, started=started, details=details
    )
    back = CallError.from_wire(decode_value(Encoder().value(error.to_wire())))
    assert facts(back) == facts(error)


@pytest.mark.parametrize("code", ["", "OK", "ok", "NOT_FOUND", "teapot"])
def test_an_unknown_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="no error code"):
        CallError("words", code=code)


def test_an_own_child_does_not_take_the_place_of_ours() -> None:
    """A tool may define children with the codes of ours; what comes from the wire stays ours."""

    class Mine(CallError):
        code = "not_found"

        def __init__(self) -> None:
            super().__init__("mine")

    assert Mine().to_wire()["code"] == "not_found"
    assert type(CallError.from_wire(Mine().to_wire())) is errors.ToolNotFound


def test_an_own_child_with_its_own_arguments_can_be_read() -> None:
    """from_wire cannot know the arguments of a class that a tool defined."""

    class Conflict(CallError):
        code = "aborted"

        def __init__(self, row: int) -> None:
            super().__init__(f"row {row} changed")

    back = CallError.from_wire(Conflict(3).to_wire())
    assert (back.code, back.message) == ("aborted", "row 3 changed")


def test_the_blame_is_split() -> None:
    """Ours, the peer's, the pipe's, the adapter's and the call's errors exclude each other."""
    blames = [
        errors.LocalProtocolError,
        errors.RemoteProtocolError,
        errors.TransportClosed,
        errors.AdapterError,
        errors.EncodeError,
        errors.CallError,
    ]
    for blame in blames:
        assert issubclass(blame, errors.BridgeError)
        assert not any(issubclass(blame, other) for other in blames if other is not blame)
    protocol = [blame for blame in blames if issubclass(blame, errors.ProtocolError)]
    assert protocol == [errors.LocalProtocolError, errors.RemoteProtocolError]


def test_a_fault_of_the_peer_can_be_answered() -> None:
    fault = RemoteProtocolError("too long", code="resource_exhausted", msgid=7)
    assert fault.msgid == 7
    assert fault.to_call_error().to_wire() == {
        "code": "resource_exhausted",
        "message": "too long",
        "started": False,
    }


def test_a_fault_of_the_peer_is_its_invalid_argument_unless_said() -> None:
    assert (RemoteProtocolError("what").code, RemoteProtocolError("what").msgid) == (
        "invalid_argument",
        None,
    )


class Unshowable:
    def __repr__(self) -> str:
        raise OSError("no")

    __str__ = __repr__


class Leaving:
    def __repr__(self) -> str:
        raise SystemExit(3)

    __str__ = __repr__


class Unnamed(type):
    def __getattribute__(cls, name: str) -> Any:
        raise KeyError(name)


class OfUnnamed(metaclass=Unnamed):
    def __repr__(self) -> str:
        raise RuntimeError


class Counted:
    """Counts how often one of its kind is shown."""

    shown = 0

    def __repr__(self) -> str:
        Counted.shown += 1
        return "1"


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        ("x" * 58, "'" + "x" * 58 + "'"),
        ("x" * 59, "'" + "x" * 56 + "..."),
        (Unshowable(), "a Unshowable that cannot be shown"),
    ],
)
def test_a_message_shows_any_value(value: object, shown: str) -> None:
    assert errors.shorten(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**5000, "a very long number"),
        (-(10**5000), "a very long number"),
        ([1, {2: 10**5000}], "[1, {2: a very long number}]"),
        (({10**5000: None}, True), "({a very long number: None}, True)"),
    ],
    ids=["positive", "negative", "item", "key"],
)
def test_a_message_shows_a_number_that_python_does_not_print(value: object, shown: str) -> None:
    assert errors.shorten(value) == shown


def values_with(*odd: Callable[[], object]) -> st.SearchStrategy[Any]:
    """Values from a peer or a tool, with odd ones anywhere in them."""
    # made in the end: Hypothesis shows what it makes values of
    scalars = scalar_keys() | st.sampled_from([int, *odd]).map(lambda make: make())
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.tuples(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(scalars, inner, max_size=5)
        ),
    )


@given(values_with(Unshowable, Leaving, lambda: OfUnnamed(), lambda: 10**5000, lambda: "\udce9"))
def test_whatever_a_value_does_it_is_shown_in_a_few_characters(value: Any) -> None:
    assert 0 < len(errors.shorten(value)) <= 60
    assert type(errors.text_of(value)) is str
    errors.shorten(value).encode()  # half characters are escaped


@given(values_with())
def test_what_is_short_is_shown_as_python_shows_it(value: Any) -> None:
    text = repr(value)
    assert errors.shorten(value) == (text if len(text) <= 60 else text[:57] + "...")


def test_of_a_large_value_only_the_beginning_is_looked_at() -> None:
    one = Counted()
    errors.shorten([[one] * 10_000, {1: [one] * 10_000}])
    assert 10 < Counted.shown < 30


def test_a_message_shows_what_is_nested_deeper_than_python_prints() -> None:
    assert errors.shorten(nested(100_000)) == "[" * 57 + "..."


def test_a_message_may_be_shorter() -> None:
    assert errors.shorten("x" * 20, 10) == "'xxxxxx..."


HALVES = st.text(st.characters(codec=None) | st.sampled_from("\ud800\udce9"))


@given(HALVES, st.integers(3, 300))
def test_text_is_cut_between_characters_and_marked(text: str, size: int) -> None:
    text *= 20
    cut = errors.cut(text, size)
    data = text.encode(errors="backslashreplace")
    if len(data) <= size:
        assert cut == data.decode()
        return
    assert len(cut.encode()) <= size
    kept, _, mark = cut.rpartition("…")
    assert data.startswith(kept.encode())
    if size < 80:
        assert mark == ""
        assert size - 6 < len(cut.encode())
    else:
        assert mark == f" ({len(data) - len(kept.encode())} more bytes)"
        assert size - 45 < len(kept.encode())


def test_text_that_is_not_unicode_can_be_sent() -> None:
    assert errors.cut("a\ud800b") == "a\\ud800b"


def test_text_of_a_value_is_its_text_where_it_has_one() -> None:
    assert errors.text_of(ValueError("x")) == "x"
    assert errors.text_of(Leaving()) == "a Leaving that cannot be shown"
