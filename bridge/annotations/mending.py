"""Values that other languages cannot send as msgspec wants them: mended by the annotation.

========================  ===================================================================
wanted                    also taken
========================  ===================================================================
``bytes``                 text, as UTF-8
``str``                   bytes that are UTF-8
``timedelta``             seconds, as it travels the other way
a list or a set           a NumPy array
========================  ===================================================================

This runs only for arguments that msgspec has refused, so it costs others nothing.
"""

from __future__ import annotations

import typing
from datetime import timedelta
from typing import Any

from .forms import MAPPINGS, SEQUENCES, bare, fields_of, is_named_tuple, members, origin_of

#: So deep it looks; msgspec refuses what is nested deeper.
_MAX_DEPTH = 64


def mend(annotation: Any, value: Any, depth: int = 0) -> Any:
    """The value as msgspec wants it, as far as that is known; the same one if nothing is to be done."""
    if depth > _MAX_DEPTH or value is None:
        return value
    kinds = members(annotation)
    if len(kinds) > 1 and any(type(value) is bare(kind) for kind in kinds):
        return value
    for kind in kinds:
        mended = _mend(kind, value, depth + 1)
        if mended is not value:
            return mended
    return value


def _mend(kind: Any, value: Any, depth: int) -> Any:
    given = type(value)
    if kind is bytes or kind is bytearray:
        return value.encode("utf-8", "surrogatepass") if given is str else value
    if kind is str:
        return _decoded(value) if given is bytes else value
    if kind is timedelta:
        return timedelta(seconds=value) if given in (int, float) else value
    origin = origin_of(kind)
    if origin in SEQUENCES or origin is tuple:
        return _mend_items(kind, origin, value, depth)
    if given is dict and origin in MAPPINGS:
        key, item = typing.get_args(kind) or (Any, Any)
        return {mend(key, k, depth): mend(item, v, depth) for k, v in value.items()}
    fields = fields_of(kind)
    if fields is None:
        return value
    if given is dict:
        return {
            name: mend(fields[name], item, depth) if name in fields else item
            for name, item in value.items()
        }
    if given is list and is_named_tuple(origin):
        return [
            mend(field, item, depth) for field, item in zip(fields.values(), value, strict=False)
        ] + value[len(fields) :]
    return value


def _mend_items(kind: Any, origin: Any, value: Any, depth: int) -> Any:
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if type(value) is not list:
        return value
    inner = typing.get_args(kind)
    if not inner:
        return value
    if origin is tuple and not (len(inner) == 2 and inner[1] is ...):
        pairs = zip(inner, value, strict=False)
        return [mend(item, part, depth) for item, part in pairs] + value[len(inner) :]
    item = inner[0]
    return [mend(item, part, depth) for part in value]


def _decoded(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
