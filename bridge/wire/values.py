"""The values that MessagePack lacks: extension types, and what becomes of rich Python objects.

``docs/values.md`` has the table of all of them, ``plain.py`` their plain forms. The layouts of the
extensions are specified byte by byte in ``protos/stdio.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from msgpack import ExtType, Timestamp

from ..errors import EncodeError, RemoteProtocolError, class_name, shorten, text_of
from ..typing_names import Any
from .derived import exact
from .extensions import BIG_INTEGER, NAMED, SHARED, TABLE, TENSOR
from .keys import explain_same_keys
from .loaded import loaded_class
from .shared import OutOfPlace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from .collected import Collected
    from .keys import Form
    from .shared import LentMessage

    Check = Callable[[ExtType | Timestamp], object]

#: The functions of an adapter that give classes a form.
Encoders = Mapping[type, Callable[[Any], Any]]

#: What ``msgpack`` packs by itself.
_KNOWN: tuple[type, ...] = (
    *(type(None), int, float, str, bytes, bytearray),
    *(memoryview, list, tuple, dict),
)
NATIVE = _KNOWN
_KNOWN += (ExtType, Timestamp)
_MIN, _MAX = -(2**63), 2**64 - 1
#: What is not plain after so many conversions, of a model to an enum to its value, never will be.
_MAX_STEPS = 16
#: So many classes are remembered; programs can make them without end.
_MAX_CLASSES = 4096


class Lender:
    """Brings large parts of messages to the peer through memory that both have."""

    def collect(self) -> Collected:
        """What takes the parts of the next message; any thread."""
        raise NotImplementedError

    def lend(self, message: bytes, collected: Collected) -> LentMessage | None:
        """The message with its parts in shared memory; None: there is no room for them."""
        raise NotImplementedError


class Forms:
    """What values become: by the functions of an adapter, and by what the peer takes.

    ``tables``: whether the peer takes extension 3; may change at any time. ``exact``: whether
    a function gives a form to a class derived from one of MessagePack's own. ``named``: the names of
    the classes that the peer wants to be told of (``named_after``). ``lender``: where large data goes,
    None: into the message; may change at any time.

    Args:
        encoders: the adapter's functions by class; default: none.
        tables: default: True.
        named: default: none.
    """

    __slots__ = ("encoders", "tables", "exact", "named", "_names", "lender")

    def __init__(
        self,
        encoders: Encoders | None = None,
        tables: bool = True,
        named: frozenset[str] = frozenset(),
    ) -> None:
        self.encoders: Encoders = dict(encoders or {})
        self.tables = tables
        self.lender: Lender | None = None
        self.exact = any(issubclass(kind, NATIVE) for kind in self.encoders)
        self.named_after(named)

    def named_after(self, named: frozenset[str]) -> None:
        """Have objects of these classes, and those derived from them, travel with the name. Any thread."""
        self._names: dict[type, ExtType | None] = {}
        self.named = named

    def to_wire(self, value: Any) -> Any:
        """As ``plain``; of a class that the peer wants to be told of ``{its name: form}``.

        Raises:
            TypeError: There is no such form; the codec then finds the path.
        """
        if self.named:
            name = self._name(type(value))
            if name is not None:
                form = self._step(value)  # in which there may be more of them
                if type(form) is type(value):
                    return self.plain(value)  # which raises
                return {name: form}
        return self.plain(value)

    def plain(self, value: Any) -> Any:
        """The form of a value that ``msgpack`` does not know: one that it does.

        Inside a container ``msgpack`` calls this again.

        Raises:
            TypeError: There is no such form; the codec then finds the path.
        """
        steps = 0
        plain = self._step(value)
        while not isinstance(plain, _KNOWN) or (
            isinstance(plain, int) and not _MIN <= plain <= _MAX
        ):
            steps += 1
            if type(plain) is type(value) or steps > _MAX_STEPS:
                from .refusals import no_form

                raise no_form(plain)
            value, plain = plain, self._step(plain)
        if isinstance(plain, ExtType) and plain.code == TABLE and not self.tables:
            raise TypeError(
                f"the caller takes no tables, so {class_name(type(value))} has no form for it; a "
                "client of 0.2 or newer takes them (extension 3), and to_dict('records') or "
                "to_pylist() makes maps of the rows"
            )
        return exact(plain) if self.exact else plain

    def own(self, value: Any) -> Any:
        """What the adapter's functions make of a value; the value itself if they know nothing of it."""
        for base in type(value).__mro__:
            function = self.encoders.get(base)
            if function is not None:
                return function(value)
        return value

    def wire_key(self, key: Any) -> Hashable:
        """What a key becomes, for comparison: those that are one on the wire, or in Python, are equal.

        Raises:
            Exception: It has no form on the wire.
        """
        if self.exact:
            key = self.own(key)
        if isinstance(key, str):
            return str.__str__(key)
        if isinstance(key, float):
            return float.__float__(key)
        if isinstance(key, int) and _MIN <= key <= _MAX:
            return int.__pos__(key)
        if isinstance(key, bytes | bytearray | memoryview):
            return bytes(key)
        if key is None or isinstance(key, ExtType | Timestamp):
            return key
        if isinstance(key, list | tuple):
            return tuple(map(self.wire_key, key))
        if isinstance(key, dict):
            return frozenset(
                (self.wire_key(name), self.wire_key(item)) for name, item in key.items()
            )
        return self.wire_key(self.plain(key))

    def _name(self, kind: type) -> ExtType | None:
        """The name with which objects of a class travel; None: without one."""
        names = self._names
        try:
            return names[kind]
        except KeyError:
            pass
        name = None
        derived = issubclass(kind, NATIVE) and not any(b in self.encoders for b in kind.__mro__)
        if not derived and not issubclass(kind, loaded_class("numpy", "ndarray")):
            found = (class_name(base) for base in kind.__mro__)
            name = next((text for text in found if text in self.named), None)
        if len(names) >= _MAX_CLASSES:
            names.clear()
        names[kind] = known = None if name is None else ExtType(NAMED, name.encode())
        return known

    def _step(self, value: Any) -> Any:
        if self.encoders:
            plain = self.own(value)
            if type(plain) is not type(value):
                return plain
            value = plain
            native = NATIVE if not isinstance(value, int) or _MIN <= value <= _MAX else ()
            if self.exact and isinstance(value, native):
                return exact(value)
        return _plain_step()(value)


@lru_cache(1)
def _plain_step() -> Callable[[Any], Any]:
    """What makes a value plainer, loaded with the first one that MessagePack does not know."""
    from .plain import one_step

    return one_step


#: Those of an adapter that says nothing about its types, for a peer that takes everything.
PLAIN = Forms()
to_wire = PLAIN.to_wire
wire_key = PLAIN.wire_key


def told_key(key: Any) -> Hashable:
    """The same where those shall be equal, too, that are one in Elixir: a text and its bytes, NaN."""
    form = wire_key(key)
    if isinstance(form, str):
        return str.encode(form)
    if isinstance(form, tuple):
        return tuple(map(told_key, form))
    return "NaN" if form != form else form


def decode_extension(code: int, data: bytes) -> Any:
    """The value of an extension type.

    Args:
        code: -128 to 127.
        data: The payload, which a tensor and a table keep a view of.

    Raises:
        RemoteProtocolError: The type is unknown, the payload malformed, or a package is missing.
    """
    if code == BIG_INTEGER:
        return _decode_big_integer(data)
    if code == TENSOR:
        from .tensors import decode_tensor  # with the first

        return decode_tensor(data)
    if code == TABLE:
        from .tables import decode_table

        return decode_table(data)
    if code == SHARED:
        raise OutOfPlace
    known = f"-1, {BIG_INTEGER}, {TENSOR}, {TABLE}"
    raise RemoteProtocolError(f"unknown extension type {code}; known: {known}")


def explain_unencodable(
    name: str,
    value: Any,
    cause: Exception,
    form: Form | None = None,
    forms: Forms = PLAIN,
    check: Check | None = None,
) -> EncodeError:
    """The error that says where in a value the trouble is, and what it is.

    Args:
        name: What the value is called: the path begins with it.
        value: What could not be encoded.
        cause: What was raised meanwhile, for what the search does not find.
        form: What becomes of a key; default: that of MessagePack.
        forms: What becomes of all others.
        check: Raises if an extension, a table for one, cannot be what it shall become; default: it can.
    """
    try:
        found = _find_unencodable(name, value, form or forms.wire_key, forms, check)
    except Exception:  # nested too deeply, no memory, or it is changing
        found = None
    said = text_of(cause)
    if "recursion" in said:
        found = name, "it is nested too deeply (more than 1023 levels), or contains itself"
    elif "changed size" in said:
        found = name, f"{said}; a tool that goes on changing what it returns should return a copy"
    path, reason = found or (name, said or class_name(type(cause), module=False))
    return EncodeError(f"{path} cannot be encoded: {reason}")


def _decode_big_integer(data: bytes) -> int:
    if len(data) < 2 or data[0] > 1 or data[1] == 0:
        raise RemoteProtocolError(
            "a big integer is a sign byte, 0 or 1, and a magnitude without leading zeros"
        )
    magnitude = int.from_bytes(data[1:], "big")
    return -magnitude if data[0] else magnitude


def _find_unencodable(
    path: str, value: Any, form: Form, forms: Forms, check: Check | None
) -> tuple[str, str] | None:
    """The first part of ``value`` that cannot be encoded: its path and the reason."""
    if forms.exact:
        try:
            value = forms.own(value)
        except Exception as error:
            return path, text_of(error) or class_name(type(error), module=False)
    if isinstance(value, str):
        try:
            str.encode(value)
        except UnicodeEncodeError:
            return path, "text with a lone surrogate, which is not valid Unicode"
        return None
    if isinstance(value, memoryview):
        try:
            if not value.c_contiguous:
                return (
                    path,
                    "its bytes do not lie one after another; bytes() of the view makes it so",
                )
        except ValueError as error:
            return path, f"{error}; send bytes() of it before"
    if value is None or isinstance(value, int | float | bytes | bytearray | memoryview):
        return None
    if isinstance(value, ExtType | Timestamp):
        try:
            if check is not None:
                check(value)
        except Exception as error:
            return path, text_of(error)
        return None
    if isinstance(value, dict | list | tuple):
        for part_path, part, _ in walk(path, value):
            found = _find_unencodable(part_path, part, form, forms, check)
            if found:
                return found
        reason = explain_same_keys(value, form) if isinstance(value, dict) else None
        return (path, reason) if reason else None
    try:
        plain = forms.plain(value)
    except Exception as error:
        return path, text_of(error) or class_name(type(error), module=False)
    return _find_unencodable(path, plain, form, forms, check)


def walk(
    path: str, value: dict[Any, Any] | list[Any] | tuple[Any, ...]
) -> Iterator[tuple[str, Any, bool]]:
    """The parts of a container at ``path``: of each its path, itself, and whether it is a key."""
    if isinstance(value, dict):
        for key, item in dict.items(value):  # a class of its own may never end
            yield f"the key {shorten(key)} of {path}", key, True
            named = type(key) is str and key.isidentifier()
            yield f"{path}.{key}" if named else f"{path}[{shorten(key)}]", item, False
    else:
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        for index, item in enumerate(items):
            yield f"{path}[{index}]", item, False
