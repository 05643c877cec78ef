"""The types that arguments can become: those of msgspec, a few more of Python's, arrays and tables."""

from __future__ import annotations

import decimal
import enum
import fractions
import ipaddress
import pathlib
import typing
import uuid
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from .forms import MAPPINGS, SEQUENCES, bare, is_array, is_record, is_union, origin_of, parts

_OF_MSGSPEC: tuple[Any, ...] = (
    *(type(None), bool, int, float, str, bytes, bytearray, list, tuple, set, frozenset, dict),
    *(datetime, date, time, timedelta, uuid.UUID, decimal.Decimal, object),
)
#: What is made of text, or of a number.
_MAKERS: dict[Any, tuple[type, ...]] = {
    complex: (int, float),
    fractions.Fraction: (str, int),
    pathlib.Path: (str,),
    pathlib.PurePath: (str,),
    pathlib.PurePosixPath: (str,),
    pathlib.PosixPath: (str,),
    ipaddress.IPv4Address: (str,),
    ipaddress.IPv6Address: (str,),
    ipaddress.IPv4Network: (str,),
    ipaddress.IPv6Network: (str,),
}
#: Modules of Python whose types pydantic makes: ``deque``, ``Pattern``.
_OF_PYDANTIC = {"collections", "re", "zoneinfo"}
#: Libraries whose objects arrive as they are.
_ARRIVING = {"numpy", "torch", "pandas", "polars", "pyarrow"}


def unknown_types(annotation: Any) -> list[str]:
    """The names of the types in an annotation that no argument becomes."""
    return [_name(part) for part in parts(annotation) if not _is_known(part)]


def _is_known(part: Any) -> bool:
    if part is Any or part is None or part is ... or bare(part) is not part or is_union(part):
        return True
    origin = typing.get_origin(part) or part
    if origin is Literal or origin in SEQUENCES or origin in MAPPINGS or origin is tuple:
        return True
    if not isinstance(origin, type):
        return False
    if origin in _OF_MSGSPEC or origin in _MAKERS or is_record(origin) or is_array(part):
        return True
    if issubclass(origin, enum.Enum | str | int | float | bytes):
        return True
    return needs_pydantic(part) or origin.__module__.partition(".")[0] in _ARRIVING


def needs_pydantic(part: Any) -> bool:
    """Whether it is a type of Python that msgspec would take for an unknown class."""
    origin = typing.get_origin(part) or part
    return isinstance(origin, type) and origin.__module__ in _OF_PYDANTIC


def knows_by_itself(part: Any) -> bool:
    """Whether msgspec knows it without ``make``."""
    origin = typing.get_origin(part) or part
    if not isinstance(origin, type) or is_array(part):
        return not is_array(part)
    if origin in _OF_MSGSPEC or origin in SEQUENCES or origin in MAPPINGS or is_record(origin):
        return True
    return issubclass(origin, enum.Enum)


def _name(part: Any) -> str:
    return getattr(part, "__qualname__", None) or repr(part)


def make(kind: Any, value: Any) -> Any:
    """What msgspec asks for types that it does not know: its ``dec_hook``.

    Raises:
        TypeError: ``value`` is of another type.
        ValueError: It is, but has no such meaning.
    """
    if is_array(kind):
        from .arrays import make_array

        return make_array(kind, value)
    origin = origin_of(kind)
    if isinstance(value, origin):
        return value
    takes = _MAKERS.get(origin)
    if takes is not None and type(value) in takes:
        return origin(value)
    base: Any
    for base in (str, int, float, bytes):
        if isinstance(origin, type) and issubclass(origin, base) and type(value) is base:
            return origin(value)
    raise TypeError(f"Expected `{_name(origin)}`, got `{type(value).__name__}`")
