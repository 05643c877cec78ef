"""Erlang terms as Python values, and what becomes of each on the way to a tool and back.

A term is an ``int``, a ``float``, ``bytes`` (a binary), a ``tuple``, or one of the classes here;
all are frozen and hashable. ``bool``, ``str``, ``list`` and ``dict`` are no terms: ``true`` is
``Atom("true")``, a charlist is a ``List`` of integers.

=============================  =================  ==============  =============================
Erlang term                    on the wire        in Python       after an echo
=============================  =================  ==============  =============================
``nil``, ``true``, ``false``   nil, boolean       None, bool      the same atoms
``nan``, ``infinity``,         float 64           float           the same atoms
``neg_infinity``
any other atom                 text               str             a binary
any of them but the first      text               str             a binary
three, as a key
integer of 64 bits             integer            int             the same
longer integer                 extension 1        int             the same
float                          float 64           float           the same
binary that is UTF-8           text               str             the same
any other binary               bytes              bytes           the same
``{bytes, IoData}``            bytes              bytes           a binary
list, charlist                 array              list            the same
any other tuple                array              list            a list
map                            map                dict            a map, its keys changed so
``undefined``                  text               str             the binary ``<<"undefined">>``
=============================  =================  ==============  =============================

Bitstrings, improper lists, pids, references, functions and maps that are structs have no form on
the wire (but for the few structs listed in ``Bridge.Msgpack``, which are not modelled here). Nor
have maps with other keys than scalars and ``{bytes, IoData}``, or with both ``a`` and ``<<"a">>``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import EncodeError


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom: at most 255 characters."""

    name: str


@dataclass(frozen=True, slots=True)
class BitString:
    """A bitstring that is no binary: of its last byte only the first ``bits``, 1 to 7, count."""

    data: bytes
    bits: int


@dataclass(frozen=True, slots=True)
class List:
    """A proper list; a charlist is one of integers."""

    items: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ImproperList:
    """A list of at least one item whose ``tail`` is no list: ``[1 | 2]``."""

    items: tuple[Any, ...]
    tail: Any


@dataclass(frozen=True, slots=True)
class Map:
    """A map: pairs of key and value, no key twice. Their order does not count in Erlang."""

    pairs: tuple[tuple[Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Pid:
    """A process."""

    node: str
    number: int
    serial: int
    creation: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference: ``words`` are 32 bits each, at most five."""

    node: str
    creation: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """An external function, ``fun Module:Name/Arity``."""

    module: str
    name: str
    arity: int


Term: TypeAlias = (
    int | float | bytes | tuple[Any, ...]
    | Atom | BitString | List | ImproperList | Map | Pid | Reference | Function
)  # fmt: skip

NIL, TRUE, FALSE = Atom("nil"), Atom("true"), Atom("false")
_CONSTANTS = {NIL: None, TRUE: True, FALSE: False}
_NOT_FINITE = {Atom("nan"): math.nan, Atom("infinity"): math.inf, Atom("neg_infinity"): -math.inf}
_REFUSED = {
    BitString: "is a bitstring",
    ImproperList: "is an improper list",
    Pid: "is a pid",
    Reference: "is a reference",
    Function: "is a function",
}


_NAME_TWICE = "is a keyword list that has the name"


def charlist(text: str) -> List:
    """What ``'text'`` is in Elixir and ``"text"`` in Erlang: the list of its code points."""
    return List(tuple(map(ord, text)))


def to_python(term: Term) -> Any:
    """What a tool receives when the Elixir client sends this term.

    Raises:
        EncodeError: The client refuses the term; the message holds the client's reason.
        TypeError: It is no term.
    """
    if isinstance(term, Atom):
        if term in _CONSTANTS:
            return _CONSTANTS[term]
        return _NOT_FINITE.get(term, term.name)
    if isinstance(term, bytes):
        return _text_or_bytes(term)
    if isinstance(term, List):
        if _is_keyword_list(term):
            if len(dict(term.items)) < len(term.items):
                raise EncodeError(_NAME_TWICE)
            return {_python_key(name): to_python(value) for name, value in term.items}
        return [to_python(item) for item in term.items]
    if isinstance(term, tuple):
        if _is_bytes_tuple(term):
            return _iodata(term[1])
        return [to_python(item) for item in term]
    if isinstance(term, Map):
        return _dict(term)
    if type(term) in _REFUSED:
        raise EncodeError(_REFUSED[type(term)])
    if type(term) is int or type(term) is float:
        return term
    raise TypeError(f"no Erlang term: {term!r}")


def from_python(value: Any) -> Term:
    """The term that Elixir receives when a tool returns this value.

    Only for what tools can receive as well, and tuples.

    Raises:
        TypeError: The value is another, which ``bridge/wire/values.py`` makes plain first.
    """
    if value is None or isinstance(value, bool):
        return NIL if value is None else TRUE if value else FALSE
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return Atom("nan" if math.isnan(value) else "infinity" if value > 0 else "neg_infinity")
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, list | tuple):
        return List(tuple(map(from_python, value)))
    if isinstance(value, dict):
        return Map(tuple((from_python(key), from_python(item)) for key, item in value.items()))
    raise TypeError(f"not modelled: {type(value).__name__}")


def after_echo(term: Term) -> Term:
    """What comes back to Elixir when a tool returns its argument.

    Raises:
        EncodeError: The client refuses the term.
    """
    return from_python(to_python(term))


def refusals(term: Term) -> set[str]:
    """Every reason that the Elixir client has to refuse a term; empty if it is sent.

    The client names the first that it meets, and in a map that depends on the order of its keys.
    """
    parts: tuple[Any, ...] = ()
    reasons = set()
    if isinstance(term, List):
        parts = term.items
        if _is_keyword_list(term):
            parts = tuple(value for _, value in parts)
            if len(dict(term.items)) < len(parts):
                return {_NAME_TWICE}
    elif isinstance(term, tuple) and not _is_bytes_tuple(term):
        parts = term
    elif isinstance(term, Map) and not _is_struct(term):
        parts = tuple(value for _, value in term.pairs)
        reasons = {reason for key, _ in term.pairs for reason in _key_refusals(key, term)}
    else:
        try:
            to_python(term)
        except EncodeError as error:
            return {str(error)}
    return reasons.union(*map(refusals, parts))


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _is_bytes_tuple(term: Any) -> bool:
    return isinstance(term, tuple) and len(term) == 2 and term[0] == Atom("bytes")


def _is_keyword_list(term: List) -> bool:
    """Whether it gives things by name; ``[{:bytes, data}]`` is a list of bytes."""
    pairs = [item for item in term.items if isinstance(item, tuple) and len(item) == 2]
    names = [name for name, _ in pairs if isinstance(name, Atom)]
    return len(names) == len(term.items) and any(name != Atom("bytes") for name in names)


def _is_struct(term: Map) -> bool:
    return any(k == Atom("__struct__") and isinstance(v, Atom) for k, v in term.pairs)


def _iodata(term: Any) -> bytes:
    """The bytes of iodata: a binary, or a list of binaries, bytes and iodata, improper or not."""
    if isinstance(term, bytes):
        return term
    if isinstance(term, List | ImproperList):
        return b"".join(bytes([p]) if _is_byte(p) else _iodata(p) for p in _all_items(term))
    raise EncodeError("is {:bytes, ...} around what is no iodata")


def _all_items(term: List | ImproperList) -> tuple[Any, ...]:
    if isinstance(term, List):
        return term.items
    if _is_byte(term.tail):
        raise EncodeError("is {:bytes, ...} around what is no iodata")
    return (*term.items, term.tail)


def _is_byte(term: Any) -> bool:
    return type(term) is int and 0 <= term <= 255


def _dict(term: Map) -> dict[Any, Any]:
    if _is_struct(term):
        raise EncodeError("is a %")
    for key, _ in term.pairs:
        for reason in _key_refusals(key, term):
            raise EncodeError(reason)
    return {_python_key(key): to_python(value) for key, value in term.pairs}


def _key_refusals(key: Any, term: Map) -> list[str]:
    if _is_bytes_tuple(key):
        if reasons := refusals(key):
            return list(reasons)
    elif not isinstance(key, Atom | bytes | int | float):
        return ["keys are text, bytes, numbers, booleans or nil"]
    equal = [k for k, _ in term.pairs if _is_scalar(k) and _python_key(k) == _python_key(key)]
    return ["which are one key in Python"] if len(equal) > 1 else []


def _is_scalar(key: Any) -> bool:
    if _is_bytes_tuple(key):
        return not refusals(key)
    return isinstance(key, Atom | bytes | int | float)


def _python_key(key: Any) -> Any:
    """What a scalar is as the key of a dict; the atoms that are values else are names there."""
    return key.name if isinstance(key, Atom) and key not in _CONSTANTS else to_python(key)
