"""Erlang terms and what the bridge makes of them, checked against two codecs of other people.

``erlang_py`` and ErlPort's ``erlterms`` (in the form of EMQX's copy, the one that can be
installed) know nothing of each other nor of the bridge. The BEAM itself is asked in
``tests/integration/test_beam_terms.py``.
"""

from __future__ import annotations

import math
from typing import Any

import erlang
import pytest
from emqx.erlport import erlterms
from hypothesis import example, find, given, settings
from hypothesis import strategies as st

from bridge.errors import EncodeError
from bridge.testing.erlang import strategies as terms
from bridge.testing.erlang.external_terms import decode_term, encode_term, same_term
from bridge.testing.erlang.terms import (
    FALSE,
    NIL,
    TRUE,
    Atom,
    BitString,
    Function,
    ImproperList,
    List,
    Map,
    Pid,
    Reference,
    after_echo,
    charlist,
    from_python,
    refusals,
    to_python,
)
from bridge.wire.codec import Encoder, decode_value
from tests.equality import deep_equal

#: Every run draws others.
FEW = settings(max_examples=40)
BYTES = Atom("bytes")
PID = Pid("nonode@nohost", 91, 0, 0)
REFERENCE = Reference("a@b", 1, (2, 3, 4))
FUNCTION = Function("lists", "map", 2)


# -- the table ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "received", "returned"),
    [
        (NIL, None, NIL),
        (TRUE, True, TRUE),
        (FALSE, False, FALSE),
        (Atom("nan"), math.nan, Atom("nan")),
        (Atom("infinity"), math.inf, Atom("infinity")),
        (Atom("neg_infinity"), -math.inf, Atom("neg_infinity")),
        (Atom("ok"), "ok", b"ok"),
        (Atom("undefined"), "undefined", b"undefined"),
        (2**63, 2**63, 2**63),
        (-(2**200), -(2**200), -(2**200)),
        (-0.0, -0.0, -0.0),
        ("grüße".encode(), "grüße", "grüße".encode()),
        (b"\xff", b"\xff", b"\xff"),
        ((BYTES, b"text"), b"text", b"text"),
        ((BYTES, List((b"a", 98, ImproperList((99,), b"d")))), b"abcd", b"abcd"),
        (charlist("hi"), [104, 105], charlist("hi")),
        (List(), [], List()),
        (List(((Atom("a"), 1), (NIL, 2))), {"a": 1, None: 2}, Map(((b"a", 1), (NIL, 2)))),
        (List(((BYTES, b"a"), (BYTES, b"b"))), [b"a", b"b"], List((b"a", b"b"))),
        (List(((Atom("a"), 1), 2)), [["a", 1], 2], List((List((b"a", 1)), 2))),
        ((Atom("ok"), 1), ["ok", 1], List((b"ok", 1))),
        (Map(((Atom("a"), NIL),)), {"a": None}, Map(((b"a", NIL),))),
        (Map(((NIL, 1), (Atom("nan"), 2))), {None: 1, "nan": 2}, Map(((NIL, 1), (b"nan", 2)))),
        (Map(((1, 2), (2.5, 3))), {1: 2, 2.5: 3}, Map(((1, 2), (2.5, 3)))),
        (Map((((BYTES, b"a"), 1),)), {b"a": 1}, Map(((b"a", 1),))),
    ],
)
def test_each_row_of_the_table(term, received, returned):
    assert deep_equal(to_python(term), received)
    assert same_term(after_echo(term), returned)
    assert not refusals(term)


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        (BitString(b"\x80", 1), "is a bitstring"),
        (List(((Atom("a"), 1), (Atom("a"), PID))), "is a keyword list that has the name"),
        (ImproperList((1,), 2), "is an improper list"),
        (PID, "is a pid"),
        (REFERENCE, "is a reference"),
        (FUNCTION, "is a function"),
        ((BYTES, 5), "around what is no iodata"),
        ((BYTES, List((256,))), "around what is no iodata"),
        ((BYTES, ImproperList((b"a",), 1)), "around what is no iodata"),
        (Map(((Atom("__struct__"), Atom("Elixir.URI")),)), "is a %"),
        (Map(((Atom("a"), 1), (b"a", 2))), "which are one key in Python"),
        (Map(((List(), 1),)), "keys are text, bytes, numbers, booleans or nil"),
        (List((1, (Map(((b"k", PID),)),))), "is a pid"),
    ],
)
def test_what_has_no_form_is_refused(term, reason):
    with pytest.raises(EncodeError, match=reason):
        to_python(term)
    assert len(refusals(term)) == 1


@FEW
@given(terms.erlang_terms())
def test_there_is_a_reason_exactly_if_a_term_is_refused(term):
    reasons = refusals(term)
    if not reasons:
        to_python(term)
        return
    with pytest.raises(EncodeError) as refused:
        to_python(term)
    assert str(refused.value) in reasons


@FEW
@given(terms.sendable_terms())
def test_what_a_tool_receives_is_what_the_codec_carries(term):
    value = to_python(term)
    assert deep_equal(decode_value(Encoder().value(value)), value)


@FEW
@given(terms.sendable_terms())
def test_a_second_echo_changes_nothing_more(term):
    once = after_echo(term)
    assert same_term(after_echo(once), once)


@pytest.mark.parametrize("value", [True, "text", [1], {1: 2}, None])
def test_a_python_value_is_no_term(value):
    with pytest.raises(TypeError, match="no Erlang term"):
        to_python(value)
    with pytest.raises(TypeError, match="no Erlang term"):
        encode_term(value)


def test_only_values_with_a_row_are_modelled():
    with pytest.raises(TypeError, match="not modelled: set"):
        from_python([{1}])


# -- the external form ----------------------------------------------------------------------


def in_order(term: Any) -> Any:
    """The term with the pairs of its maps in one order."""
    if isinstance(term, Map):
        pairs = ((in_order(key), in_order(value)) for key, value in term.pairs)
        return Map(tuple(sorted(pairs, key=repr)))
    if isinstance(term, List):
        return List(tuple(map(in_order, term.items)))
    if isinstance(term, ImproperList):
        return ImproperList(tuple(map(in_order, term.items)), in_order(term.tail))
    return tuple(map(in_order, term)) if isinstance(term, tuple) else term


@FEW
@given(terms.erlang_terms())
@example(-(2**64))
def test_a_term_survives_its_external_form(term):
    assert repr(in_order(decode_term(encode_term(term)))) == repr(in_order(term))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (0.0, -0.0), (List(), b""), (Atom("a"), b"a"), (TRUE, 1), ((), List())],
)
def test_terms_that_differ_are_told_apart(one, other):
    assert not same_term(one, other)


def test_the_order_of_pairs_does_not_count():
    assert same_term(Map(((1, 2), (3, 4))), Map(((3, 4), (1, 2))))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no external term"),
        (b"\x82a\x01", "no external term"),
        (b"\x83", "cut short: 1 bytes"),
        (b"\x83m\0\0\0\5abc", "cut short: 2 bytes"),
        (b"\x83a\1\1", "1 bytes follow"),
        (b"\x83P\0\0\0\0", "tag 80 at byte 1"),
        (b"\x83Xa\1", "no atom: tag 97"),
    ],
)
def test_bytes_that_are_no_term_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        decode_term(data)


# -- the oracles ----------------------------------------------------------------------------


def map_in_key(term: Any, inside: bool = False) -> bool:
    """Is there a map within a key of a map? ``erlang_py`` mixes such keys up."""
    if isinstance(term, Map):
        pairs = ((map_in_key(k, True), map_in_key(v, inside)) for k, v in term.pairs)
        return inside or any(map(any, pairs))
    if isinstance(term, List | ImproperList):
        tail = getattr(term, "tail", ())
        return map_in_key((*term.items, tail), inside)
    return isinstance(term, tuple) and any(map_in_key(item, inside) for item in term)


def as_erlport_returns(term: Any) -> Any:
    """The term after ErlPort has read and written it: a list of only booleans is one of numbers."""
    if isinstance(term, List):
        items = tuple(map(as_erlport_returns, term.items))
        numbers = [{TRUE: 1, FALSE: 0}.get(item, item) for item in items]
        bytes_only = all(type(n) is int and 0 <= n <= 255 for n in numbers)
        return List(tuple(numbers) if bytes_only else items)
    if isinstance(term, ImproperList):
        return ImproperList(
            tuple(map(as_erlport_returns, term.items)), as_erlport_returns(term.tail)
        )
    return tuple(map(as_erlport_returns, term)) if isinstance(term, tuple) else term


def with_erlang_py(term: Any) -> Any:
    """The term in the classes of ``erlang_py``."""
    if isinstance(term, Atom):
        return erlang.OtpErlangAtom(term.name)
    if isinstance(term, bytes):
        return erlang.OtpErlangBinary(term)
    if isinstance(term, List | ImproperList):
        items = [with_erlang_py(item) for item in term.items]
        if isinstance(term, ImproperList):
            return erlang.OtpErlangList([*items, with_erlang_py(term.tail)], improper=True)
        return erlang.OtpErlangList(items)
    if isinstance(term, tuple):
        return tuple(map(with_erlang_py, term))
    if isinstance(term, Map):
        return {with_erlang_py(key): with_erlang_py(value) for key, value in term.pairs}
    return term


def received_by_way_of_erlang_py(value: Any) -> Any:
    """What a tool receives of a term, told from what ``erlang_py`` has decoded it to."""
    if isinstance(value, erlang.OtpErlangAtom):
        name = value.value if isinstance(value.value, str) else value.value.decode("latin-1")
        return text_of_atom(name)
    if value is None:
        return "undefined"
    if isinstance(value, erlang.OtpErlangBinary):
        return text_if_it_is(value.value)
    if isinstance(value, bytes):  # a list of bytes
        return list(value)
    if isinstance(value, list | tuple):
        return list(map(received_by_way_of_erlang_py, value))
    return value


def received_by_way_of_erlport(value: Any) -> Any:
    """The same, told from what ErlPort has decoded it to."""
    if isinstance(value, erlterms.Atom):
        return text_of_atom(value.decode())
    if value is None:
        return "undefined"
    if isinstance(value, bytes):
        return text_if_it_is(value)
    if isinstance(value, list | tuple):
        return list(map(received_by_way_of_erlport, value))
    return value


def text_of_atom(name: str) -> Any:
    numbers = {"nan": math.nan, "infinity": math.inf, "neg_infinity": -math.inf}
    return None if name == "nil" else numbers.get(name, name)


def text_if_it_is(data: bytes) -> Any:
    text = data.decode(errors="replace")
    return text if text.encode() == data else data


def plain_terms() -> st.SearchStrategy[Any]:
    """Terms that both oracles know, and that the client sends as the table's plain rows say."""
    found = terms.erlang_terms(opaque=False, maps=False, codec="ascii")
    return found.filter(lambda term: not refusals(term) and b"bytes" not in encode_term(term))


@FEW
@given(terms.erlang_terms().filter(lambda term: not map_in_key(term)))
def test_erlang_py_reads_and_writes_the_same_terms(term):
    decoded = erlang.binary_to_term(encode_term(term))
    assert same_term(decode_term(erlang.term_to_binary(decoded)), term)


@FEW
@given(terms.erlang_terms(opaque=False).filter(lambda term: not map_in_key(term)))
@example(-(2**64))
def test_what_erlang_py_builds_itself_is_read_the_same(term):
    data = erlang.term_to_binary(with_erlang_py(term))
    assert repr(in_order(decode_term(data))) == repr(in_order(term))


@FEW
@given(terms.erlang_terms(opaque=False, maps=False, codec="latin-1"))
def test_erlport_reads_and_writes_the_same_terms(term):
    decoded, rest = erlterms.decode(encode_term(term))
    assert rest == b""
    assert same_term(decode_term(erlterms.encode(decoded)), as_erlport_returns(term))


@FEW
@given(plain_terms())
def test_from_one_oracle_to_the_other_the_mapping_holds(term):
    between = erlang.term_to_binary(with_erlang_py(term))
    decoded, _rest = erlterms.decode(between)
    assert deep_equal(received_by_way_of_erlport(decoded), to_python(term))


@FEW
@given(plain_terms())
def test_and_the_other_way_round(term):
    written = as_erlport_returns(term)
    decoded, _rest = erlterms.decode(encode_term(term))
    back = erlang.binary_to_term(erlterms.encode(decoded))
    assert deep_equal(received_by_way_of_erlang_py(back), to_python(written))


# -- the strategies -------------------------------------------------------------------------


def test_every_kind_of_term_turns_up():
    seen = []

    @settings(max_examples=100, derandomize=True, database=None)
    @given(terms.erlang_terms())
    def collect(term: Any) -> None:
        seen.append(repr(term))

    collect()
    kinds = (Atom, BitString, List, ImproperList, Map, Pid, Reference, Function)
    assert [kind for kind in kinds if f"{kind.__name__}(" not in " ".join(seen)] == []


def test_examples_shrink():
    assert find(terms.integers(), lambda n: n > 2**64) == 2**64 + 1
    assert find(terms.atoms(), lambda atom: True) == Atom("ok")
    pair = find(terms.erlang_terms(), lambda term: isinstance(term, tuple) and len(term) == 2)
    assert pair == (Atom("ok"), Atom("ok"))


@FEW
@given(terms.charlists())
def test_a_charlist_is_a_list_of_code_points(term):
    assert charlist("".join(map(chr, term.items))) == term
