"""What types are called, derived from and made of, as the interpreter has it.

A type of a program can have a type of its own, which answers for its attributes, and may do anything
when it is asked for ``__module__`` or ``__mro__``. It is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MODULE, _QUALNAME, _MRO, _VARS = (
    type.__dict__[name].__get__ for name in ("__module__", "__qualname__", "__mro__", "__dict__")
)


def module_of_type(kind: type) -> Any:
    """The module that a type says it is defined in: a text, if nobody has put something else there."""
    return _MODULE(kind)


def qualname_of_type(kind: type) -> str:
    """The name of a type in its module."""
    name: str = _QUALNAME(kind)
    return name


def mro_of_type(kind: type) -> tuple[type, ...]:
    """The type and its bases, in the order in which attributes are found."""
    found: tuple[type, ...] = _MRO(kind)
    return found


def vars_of_type(kind: type) -> Mapping[str, Any]:
    """What stands in the body of a type."""
    found: Mapping[str, Any] = _VARS(kind)
    return found
