"""Hypothesis strategies for Erlang terms. They need the package ``hypothesis``.

Maps never hold two keys that are one key in a Python dict (1, 1.0 and ``true``), so that no
decoder in Python loses one; small terms, short names and plain numbers come first when a failing
example is shrunk.
"""

from __future__ import annotations

from hypothesis import strategies as st

from .external_terms import encode_term
from .terms import (
    Atom,
    BitString,
    Function,
    ImproperList,
    List,
    Map,
    Pid,
    Reference,
    charlist,
    refusals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hypothesis.strategies import SearchStrategy

    from .terms import Term

#: Atoms that some codec or other treats as more than a name.
SPECIAL_ATOMS = (
    *("ok", "nil", "true", "false", "undefined", "none"),
    *("nan", "infinity", "neg_infinity", "bytes", "", "Elixir.Enum"),
)
#: Where one form of an integer ends and the next begins, in bits.
BOUNDARY_BITS = (5, 7, 8, 15, 16, 31, 32, 59, 63, 64, 2040)

NO_KEYS: SearchStrategy[Any] = st.nothing()


def atoms(*, codec: str = "utf-8") -> SearchStrategy[Atom]:
    """Atoms, often special ones. ``codec``: what their names can be written in."""
    names = st.text(st.characters(codec=codec), max_size=12)
    return st.sampled_from(SPECIAL_ATOMS).map(Atom) | names.map(Atom)


def integers() -> SearchStrategy[int]:
    """Integers of all sizes, often at a boundary, many beyond 64 bits."""

    def near(bits: int, sign: int, offset: int) -> int:
        return sign * (1 << bits) + offset

    around = (st.sampled_from(BOUNDARY_BITS), st.sampled_from([1, -1]), st.integers(-1, 1))
    return st.integers() | st.builds(near, *around)


def floats() -> SearchStrategy[float]:
    """Floats; Erlang has neither NaN nor infinities."""
    return st.floats(allow_nan=False, allow_infinity=False)


def binaries() -> SearchStrategy[bytes]:
    """Binaries, some of them text."""
    return st.text(max_size=20).map(str.encode) | st.binary(max_size=20)


def charlists() -> SearchStrategy[List]:
    """Lists of code points."""
    return st.text(max_size=12).map(charlist)


def iodata() -> SearchStrategy[Term]:
    """What may stand in ``{bytes, IoData}``."""
    leaves: SearchStrategy[Any] = st.binary(max_size=8)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner | st.integers(0, 255), max_size=3).map(_list),
        max_leaves=4,
    )


def bitstrings() -> SearchStrategy[BitString]:
    """Bitstrings that are no binaries; the bits that do not count are zero."""

    def cut(data: bytes, bits: int) -> BitString:
        return BitString(data[:-1] + bytes([data[-1] >> (8 - bits) << (8 - bits)]), bits)

    return st.builds(cut, st.binary(min_size=1, max_size=4), st.integers(1, 7))


def pids() -> SearchStrategy[Pid]:
    """Processes of any node."""
    nodes = st.sampled_from(["nonode@nohost", "a@b"])
    return st.builds(Pid, nodes, st.integers(0, 2**15 - 1), st.integers(0, 7), _words())


def references() -> SearchStrategy[Reference]:
    """References of another node; those of this one are checked more closely by the BEAM."""
    first = st.integers(0, 2**18 - 1)
    words = st.builds(lambda head, tail: (head, *tail), first, st.lists(_words(), max_size=2))
    return st.builds(Reference, st.just("a@b"), _words(), words)


def functions() -> SearchStrategy[Function]:
    """External functions, of modules that need not exist."""
    names = st.sampled_from(["lists", "map", "Elixir.Enum"])
    return st.builds(Function, names, names, st.integers(0, 255))


def opaque_terms() -> SearchStrategy[Any]:
    """Scalars that have no form on the bridge's wire."""
    return bitstrings() | pids() | references() | functions()


def erlang_terms(
    *, max_leaves: int = 12, opaque: bool = True, maps: bool = True, codec: str = "utf-8"
) -> SearchStrategy[Any]:
    """Any term: nested, maps with any key, improper lists.

    Args:
        max_leaves: About how many scalars; default: 12.
        opaque: With bitstrings, pids, references and functions; default: True.
        maps: With maps; default: True.
        codec: What the names of atoms can be written in; default: UTF-8.
    """
    plain = atoms(codec=codec) | integers() | binaries() | charlists()
    if opaque:
        plain |= opaque_terms()

    # before OTP 27, 0.0 and -0.0 are one key
    simple_keys = plain | floats().map(lambda x: x + 0.0)
    shapes: tuple[type, ...] = (List, tuple, ImproperList)
    keys = st.recursive(simple_keys, lambda inner: _containers(shapes, inner), max_leaves=3)
    if maps:
        keys |= _maps(simple_keys, simple_keys)
        shapes = (List, tuple, Map, ImproperList)
    return st.recursive(
        plain | floats(), lambda inner: _containers(shapes, inner, keys), max_leaves=max_leaves
    )


def sendable_terms(*, max_leaves: int = 12) -> SearchStrategy[Any]:
    """Terms that the Elixir client of the bridge can send, ``{bytes, IoData}`` among them."""
    as_bytes = iodata().map(lambda data: (Atom("bytes"), data))
    scalars = atoms() | integers() | binaries() | as_bytes
    keys = scalars | floats().map(lambda x: x + 0.0)

    terms = st.recursive(
        scalars | floats() | charlists(),
        lambda inner: _containers((List, tuple, Map), inner, keys),
        max_leaves=max_leaves,
    )
    return terms.filter(lambda term: not refusals(term))


def _list(items: list[Any]) -> List:
    return List(tuple(items))


@st.composite
def _containers(
    draw: st.DrawFn,
    shapes: tuple[type, ...],
    inner: SearchStrategy[Any],
    keys: SearchStrategy[Any] = NO_KEYS,
) -> Any:
    """One container of terms from ``inner``, in one of the shapes; the first are the simplest."""
    shape = draw(st.sampled_from(shapes))
    if shape is Map:
        return draw(_maps(keys, inner))
    items = tuple(draw(st.lists(inner, max_size=4)))
    if shape is ImproperList and len(items) > 1 and not isinstance(items[-1], List | ImproperList):
        return ImproperList(items[:-1], items[-1])
    return items if shape is tuple else List(items)


def _words() -> SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def _maps(keys: SearchStrategy[Any], values: SearchStrategy[Any]) -> SearchStrategy[Map]:
    pairs = st.lists(st.tuples(keys, values), max_size=4, unique_by=lambda pair: _as_one(pair[0]))
    return pairs.map(lambda pairs: Map(tuple(pairs)))


def _as_one(key: Any) -> bytes:
    """Equal for two keys that some Python dict may hold for one."""
    return encode_term(_loosely(key))


def _loosely(key: Any) -> Any:
    """The key with every number in its one form, and every name as a binary."""
    if isinstance(key, Atom):
        return {"true": 1, "false": 0}.get(key.name, key.name.encode())
    if isinstance(key, float):
        return int(key) if key.is_integer() else key
    if isinstance(key, List):
        return List(tuple(map(_loosely, key.items)))
    if isinstance(key, tuple):
        if len(key) == 2 and key[0] == Atom("bytes"):
            return b"".join(_flat(key[1]))
        return tuple(map(_loosely, key))
    if isinstance(key, ImproperList):
        return ImproperList(tuple(map(_loosely, key.items)), _loosely(key.tail))
    if isinstance(key, Map):
        return Map(tuple((_loosely(k), _loosely(v)) for k, v in key.pairs))
    return key


def _flat(data: Any) -> list[bytes]:
    """The pieces of what may be iodata."""
    if isinstance(data, bytes):
        return [data]
    if isinstance(data, List):
        return [piece for item in data.items for piece in _flat(item)]
    return [encode_term(data)]
