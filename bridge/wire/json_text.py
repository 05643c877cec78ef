"""Values as JSON text that keeps what they are, for peers that speak JSON only.

Other than ``json_values.py``, which makes text of whatever JSON lacks, nothing changes its kind here:
integers of any size are numbers, and what JSON cannot say, NaN and bytes above all, is refused.
Rich objects have the natural plain value that ``values.py`` gives them, times ISO 8601 text,
arrays nested lists.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from math import isfinite

from msgpack import ExtType

from ..errors import EncodeError, RemoteProtocolError, shorten
from .extensions import TABLE
from .keys import explain_same_keys, has_same_keys
from .reading import MAX_ITEMS, too_many_items
from .tables import table_rows
from .tensors import to_lists
from .times import is_missing, is_time, plain_time
from .values import to_wire, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def encode_json(value: Any, name: str) -> bytes:
    """``value`` as UTF-8 text.

    Args:
        value: Any value that has a form on the wire.
        name: What it is called in an error.

    Raises:
        EncodeError: JSON cannot say it; the message names the path and the reason.
    """
    try:
        data = _encoder.encode(value).encode()
        if has_same_keys(value, _text_key):
            raise ValueError("two keys of a map would be the same")
        return data
    except Exception as error:
        # also what the properties of a rich object raise
        raise _explain(name, value, error) from error


def decode_json(data: bytes, name: str, max_items: int = MAX_ITEMS) -> Any:
    """The value of UTF-8 text.

    Args:
        data: The text.
        name: What it is called in an error.
        max_items: So many lists and maps may be in it; default: 2 Mi.

    Raises:
        RemoteProtocolError: It is no JSON, nested too deeply, or would cost too much to read.
    """
    # most often there are few brackets, and if not, most of them are in texts
    if _beginnings(data) > max_items and _beginnings(_TEXTS.sub(b"", data)) > max_items:
        raise too_many_items(max_items)
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise RemoteProtocolError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise RemoteProtocolError(f"{name} is not JSON: {error}; got {shorten(data)}") from None


def _beginnings(data: bytes) -> int:
    """How many lists and maps begin there, if no text contains a bracket."""
    return data.count(b"[") + data.count(b"{")


def to_json(value: Any) -> Any:
    """The plain form of what JSON's encoder does not know, by one step.

    Raises:
        TypeError: There is none. So may whatever the code of the value raises.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("JSON has no form for bytes")
    if is_time(value):
        return plain_time(value) if value.ndim == 0 else list(value)
    if isinstance(value, datetime) and not is_missing(value):
        return value.isoformat()
    if callable(getattr(value, "tolist", None)):
        return to_lists(value)  # arrays and scalars of NumPy, tensors of torch
    plain = to_wire(value)
    if type(plain) is ExtType and plain.code == TABLE:
        plain = table_rows(plain.data)
    if isinstance(plain, dict | list) and has_same_keys(plain, _text_key):
        raise ValueError("two keys of a map would be the same")
    return plain


def _text_key(key: Any) -> str:
    """The text that ``json`` makes of a key."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return float.__repr__(key) if isinstance(key, float) else int.__repr__(key)


#: Without a way back ("++"): half a text that is long must not cost more than a whole one.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_json
)


def _explain(name: str, value: Any, cause: Exception) -> EncodeError:
    try:
        found = _find(name, value)
    except RecursionError:
        found = name, "it is nested too deeply, or contains itself"
    path, reason = found or (name, str(cause))
    return EncodeError(f"{path} cannot be encoded: {reason}")


def _find(path: str, value: Any) -> tuple[str, str] | None:
    """The first part of ``value`` that JSON cannot say: its path and the reason."""
    if isinstance(value, dict | list | tuple):
        for part_path, part, is_key in walk(path, value):
            if is_key and part is not None and not isinstance(part, str | int | float):
                return part_path, "keys in JSON are text"
            found = _find(part_path, part)
            if found:
                return found
        reason = explain_same_keys(value, _text_key) if isinstance(value, dict) else None
        return (path, reason) if reason else None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return path, "text with a lone surrogate, which is not valid Unicode"
        return None
    if isinstance(value, float):
        return None if isfinite(value) else (path, f"JSON has no {float(value)}")
    if value is None or isinstance(value, int):
        return None
    try:
        plain = to_json(value)
    except Exception as error:
        return path, str(error)
    return _find(path, plain)
