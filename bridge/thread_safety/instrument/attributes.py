"""Where the attributes of an object stand: in it, or in its classes; found without code of the program."""

from __future__ import annotations

import types
from typing import Any

from ..libraries import mro_of_type, vars_of_type
from .builtins import is_a, namespace


def value_of(value: Any, name: str) -> Any:
    """The value of an attribute, without running code of the program; None if it has none."""
    if is_a(value, type):
        return vars_of_type(value).get(name)
    values = namespace(value)
    if name in values:
        return values[name]
    found = in_mro(type(value), name)
    if found is None:
        return None
    if is_a(found[1], types.MemberDescriptorType):
        try:
            return found[1].__get__(value)
        except AttributeError:
            return None
    return found[1]


def in_mro(kind: type, name: str) -> tuple[type, Any] | None:
    """The class that a type has an attribute from, and what the class has there."""
    for base in mro_of_type(kind):
        own = vars_of_type(base)
        if name in own:
            return base, own[name]
    return None


def is_plain(kind: type, name: str) -> bool:
    """Whether an attribute of objects of a type is one that each has for itself, and data."""
    if name.startswith("__") and name.endswith("__"):
        return False
    found = in_mro(kind, name)
    return found is None or is_a(found[1], types.MemberDescriptorType | types.GetSetDescriptorType)
