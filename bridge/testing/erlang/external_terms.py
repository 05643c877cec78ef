"""Erlang's external term format: terms to bytes and back.

Specification: https://www.erlang.org/doc/apps/erts/erl_ext_dist.html. Written is what
``term_to_binary(Term, [{minor_version, 1}])`` writes, but that the pairs of maps stand in the
order of their keys' bytes: two terms are the same (``=:=``, and 0.0 is not -0.0) exactly if their
bytes are. Read is also what newer releases write. Neither ports nor local functions, nor
compressed terms.
"""

from __future__ import annotations

import struct

from .terms import Atom, BitString, Function, ImproperList, List, Map, Pid, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .terms import Term

VERSION = 131


def encode_term(term: Term) -> bytes:
    """The bytes of a term.

    Raises:
        TypeError: It is none.
    """
    return bytes([VERSION]) + _encode(term)


def decode_term(data: bytes) -> Term:
    """The term in ``data``.

    Raises:
        ValueError: The bytes are not exactly one term.
    """
    if data[:1] != bytes([VERSION]):
        raise ValueError(f"no external term: it begins with {data[:1]!r}, not with 131")
    reader = _Reader(data)
    term: Term = reader.term()
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes follow the term")
    return term


def same_term(one: Term, other: Term) -> bool:
    """Whether both are the same to Erlang, in type and value. Python holds 1 and 1.0 for equal."""
    return encode_term(one) == encode_term(other)


def _encode(term: Any) -> bytes:
    if type(term) is int:
        return _integer(term)
    if type(term) is float:
        return struct.pack(">Bd", 70, term)
    if isinstance(term, Atom):
        return _atom(term.name)
    if isinstance(term, bytes):
        return struct.pack(">BI", 109, len(term)) + term
    if isinstance(term, tuple):
        size = len(term)
        header = struct.pack(">BB", 104, size) if size < 256 else struct.pack(">BI", 105, size)
        return header + b"".join(map(_encode, term))
    if isinstance(term, List):
        return _list(term.items)
    if isinstance(term, ImproperList):
        header = struct.pack(">BI", 108, len(term.items))
        return header + b"".join(map(_encode, term.items)) + _encode(term.tail)
    if isinstance(term, Map):
        pairs = sorted((_encode(key), _encode(value)) for key, value in term.pairs)
        return struct.pack(">BI", 116, len(pairs)) + b"".join(k + v for k, v in pairs)
    if isinstance(term, BitString):
        return struct.pack(">BIB", 77, len(term.data), term.bits) + term.data
    if isinstance(term, Pid):
        numbers = struct.pack(">III", term.number, term.serial, term.creation)
        return b"X" + _atom(term.node) + numbers
    if isinstance(term, Reference):
        size = len(term.words)
        words = struct.pack(f">{1 + size}I", term.creation, *term.words)
        return struct.pack(">BH", 90, size) + _atom(term.node) + words
    if isinstance(term, Function):
        return b"q" + _atom(term.module) + _atom(term.name) + _integer(term.arity)
    raise TypeError(f"no Erlang term: {term!r}")


def _integer(value: int) -> bytes:
    if 0 <= value <= 255:
        return struct.pack(">BB", 97, value)
    if -(2**31) <= value < 2**31:
        return struct.pack(">Bi", 98, value)
    magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    size, sign = len(magnitude), value < 0
    header = struct.pack(">BB", 110, size) if size < 256 else struct.pack(">BI", 111, size)
    return header + bytes([sign]) + magnitude


def _atom(name: str) -> bytes:
    try:
        data = name.encode("latin-1")
        return struct.pack(">BH", 100, len(data)) + data
    except UnicodeEncodeError:
        data = name.encode()
        size = len(data)
        header = struct.pack(">BB", 119, size) if size < 256 else struct.pack(">BH", 118, size)
        return header + data


def _list(items: tuple[Any, ...]) -> bytes:
    if not items:
        return b"j"
    if len(items) < 2**16 and all(type(item) is int and 0 <= item <= 255 for item in items):
        return struct.pack(">BH", 107, len(items)) + bytes(items)
    return struct.pack(">BI", 108, len(items)) + b"".join(map(_encode, items)) + b"j"


class _Reader:
    """Reads terms from bytes, the first after the version."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 1

    def term(self) -> Any:
        tag = self._number(1)
        if tag == 97:
            return self._number(1)
        if tag == 98:
            return self._number(4, signed=True)
        if tag == 70:
            return struct.unpack(">d", self._take(8))[0]
        if tag in (100, 115, 118, 119):
            return Atom(self._name(tag))
        if tag == 109:
            return self._take(self._number(4))
        if tag in (104, 105):
            return self._terms(self._number(1 if tag == 104 else 4))
        if tag == 106:
            return List()
        if tag == 107:
            return List(tuple(self._take(self._number(2))))
        if tag == 108:
            items, tail = self._terms(self._number(4)), self.term()
            return List(items) if tail == List() else ImproperList(items, tail)
        if tag == 116:
            return Map(tuple((self.term(), self.term()) for _ in range(self._number(4))))
        if tag in (110, 111):
            size = self._number(1 if tag == 110 else 4)
            sign = self._number(1)
            magnitude = int.from_bytes(self._take(size), "little")
            return -magnitude if sign else magnitude
        return self._rarer(tag)

    def _rarer(self, tag: int) -> Any:
        if tag == 77:
            size, bits = self._number(4), self._number(1)
            return BitString(self._take(size), bits)
        if tag in (88, 103):
            node, number, serial = self._atom(), self._number(4), self._number(4)
            return Pid(node, number, serial, self._number(4 if tag == 88 else 1))
        if tag in (90, 114):
            size, node = self._number(2), self._atom()
            creation = self._number(4 if tag == 90 else 1)
            return Reference(node, creation, tuple(self._number(4) for _ in range(size)))
        if tag == 113:
            return Function(self._atom(), self._atom(), self.term())
        raise ValueError(f"no term, or none that is read here: tag {tag} at byte {self.at - 1}")

    def _terms(self, count: int) -> tuple[Any, ...]:
        return tuple([self.term() for _ in range(count)])

    def _atom(self) -> str:
        return self._name(self._number(1))

    def _name(self, tag: int) -> str:
        if tag not in (100, 115, 118, 119):
            raise ValueError(f"no atom: tag {tag} at byte {self.at - 1}")
        data = self._take(self._number(2 if tag in (100, 118) else 1))
        return data.decode("latin-1" if tag in (100, 115) else "utf-8")

    def _number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "big", signed=signed)

    def _take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if self.at > len(self._data):
            raise ValueError(f"cut short: {self.at - len(self._data)} bytes are missing")
        return self._data[start : self.at]
