"""Values in the form of JSON, for callers that do not speak MessagePack.

The same values travel as with ``codec.py``, but what JSON lacks becomes text or lists: the way in
``protos/bridge.proto``, which follows the JSON mapping of protobuf where it has one
(https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

from base64 import b64encode
from math import isfinite, isnan

from msgpack import ExtType, Timestamp

from ..errors import EncodeError
from .extensions import TABLE, TENSOR
from .tables import table_rows
from .tensors import decode_for_json, to_lists
from .values import PLAIN, Forms, decode_extension, explain_unencodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Beyond this, JSON's readers lose the last digits of an integer.
MAX_INTEGER = 2**53
#: protobuf refuses to read messages that are nested much deeper.
MAX_DEPTH = 30


def to_plain(value: Any, name: str, forms: Forms = PLAIN) -> Any:
    """``value`` of None, booleans, finite numbers, text, lists, and dicts with text for keys.

    Args:
        value: Any value that has a form on the wire.
        name: What it is called in an error.
        forms: What values become that are neither JSON's nor MessagePack's; default: what is theirs.

    Raises:
        EncodeError: Something has no such form; the message names its type and its path.
    """

    def key_text(key: Any) -> str:
        return text_key(key, forms)

    try:
        return _to_plain(value, MAX_DEPTH, forms)
    except Exception as error:  # also what the properties of a rich object raise
        raise explain_unencodable(name, value, error, key_text, forms, _check) from error


def _check(wire: ExtType | Timestamp) -> None:
    if isinstance(wire, ExtType):
        _to_plain(_extended(wire), MAX_DEPTH, PLAIN)


def _to_plain(value: Any, depth: int, forms: Forms) -> Any:
    if forms.exact:
        value = forms.own(value)
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        text = str.__str__(value)  # of a subclass, an Enum for example, its plain text
        text.encode()  # raises if it is not Unicode
        return text
    if isinstance(value, int):
        number = int.__pos__(value)  # of a subclass, whatever its own operators do
        return number if -MAX_INTEGER <= number <= MAX_INTEGER else _digits(number)
    if isinstance(value, float):
        value = float.__float__(value)
        if isfinite(value):
            return value
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if depth == 0:
        raise EncodeError(f"nested deeper than {MAX_DEPTH} levels, the limit of the JSON form")
    if isinstance(value, list | tuple):
        return [_to_plain(item, depth - 1, forms) for item in value]
    if isinstance(value, dict):
        plain = {
            text_key(key, forms): _to_plain(item, depth - 1, forms) for key, item in value.items()
        }
        if len(plain) < len(value):
            raise EncodeError("two keys of a map are the same as text, as which JSON has them")
        return plain
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    wire = value if isinstance(value, ExtType | Timestamp) else forms.to_wire(value)
    if isinstance(wire, Timestamp):
        return wire.to_datetime().isoformat()
    if isinstance(wire, ExtType):
        return _to_plain(_extended(wire), depth, forms)
    return _to_plain(wire, depth, forms)


def _extended(wire: ExtType) -> Any:
    if wire.code == TENSOR:
        return to_lists(decode_for_json(wire.data))
    if wire.code == TABLE:
        return table_rows(wire.data)
    return decode_extension(wire.code, wire.data)


def text_key(key: Any, forms: Forms = PLAIN) -> str:
    """The text that stands for a key. Raises ``TypeError`` or ``ValueError`` if there is none."""
    if isinstance(key, str) and not forms.exact:
        text = str.__str__(key)
        text.encode()  # raises if it is not Unicode
        return text
    plain = _to_plain(key, MAX_DEPTH, forms)
    if plain is None or isinstance(plain, bool):
        return {None: "null", True: "true", False: "false"}[plain]
    return str(plain)


def _digits(number: int) -> str:
    # str() refuses more than 4300 digits, because they take long; hex() does not
    return str(number) if number.bit_length() < 10_000 else hex(number)
