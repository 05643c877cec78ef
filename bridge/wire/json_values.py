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
from .tensors import TENSOR, to_lists
from .values import decode_extension, explain_unencodable, to_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Beyond this, JSON's readers lose the last digits of an integer.
MAX_INTEGER = 2**53
#: protobuf refuses to read messages that are nested much deeper.
MAX_DEPTH = 30


def to_plain(value: Any, name: str) -> Any:
    """``value`` of None, booleans, finite numbers, text, lists, and dicts with text for keys.

    Args:
        value: Any value that has a form on the wire.
        name: What it is called in an error.

    Raises:
        EncodeError: Something has no such form; the message names its type and its path.
    """
    try:
        return _to_plain(value, MAX_DEPTH)
    except Exception as error:  # also what the properties of a rich object raise
        raise explain_unencodable(name, value, error, text_key) from error


def _to_plain(value: Any, depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        text = str.__str__(value)  # of a subclass, an Enum for example, its plain text
        text.encode()  # raises if it is not Unicode
        return text
    if isinstance(value, int):
        return int(value) if -MAX_INTEGER <= value <= MAX_INTEGER else _digits(int(value))
    if isinstance(value, float):
        if isfinite(value):
            return float(value)
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if depth == 0:
        raise EncodeError(f"nested deeper than {MAX_DEPTH} levels, the limit of the JSON form")
    if isinstance(value, list | tuple):
        return [_to_plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        plain = {text_key(key): _to_plain(item, depth - 1) for key, item in value.items()}
        if len(plain) < len(value):
            raise EncodeError("two keys of a map are the same as text, as which JSON has them")
        return plain
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    wire = value if isinstance(value, ExtType | Timestamp) else to_wire(value)
    if isinstance(wire, Timestamp):
        return wire.to_datetime().isoformat()
    if isinstance(wire, ExtType):
        extended = decode_extension(wire.code, wire.data)
        return _to_plain(to_lists(extended) if wire.code == TENSOR else extended, depth)
    return _to_plain(wire, depth)


def text_key(key: Any) -> str:
    """The text that stands for a key. Raises ``TypeError`` or ``ValueError`` if there is none."""
    if isinstance(key, str):
        text = str.__str__(key)
        text.encode()  # raises if it is not Unicode
        return text
    plain = _to_plain(key, MAX_DEPTH)
    if plain is None or isinstance(plain, bool):
        return {None: "null", True: "true", False: "false"}[plain]
    return str(plain)


def _digits(number: int) -> str:
    # str() refuses more than 4300 digits, because they take long; hex() does not
    return str(number) if number.bit_length() < 10_000 else hex(number)
