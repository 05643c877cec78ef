"""What is written to variables: as much of the values as the detector needs, without running their code."""

from __future__ import annotations

import sys
from typing import Any

from ..detector import MIXED, Written
from ..libraries import module_of_type
from .builtins import CONTAINERS, is_a, length, shows_memory
from .shared_objects import SharedObjects

#: What stands for a value of which nothing is known, and for none.
UNSEEN, ABSENT = object(), None
_ATOMS = (int, float, complex, str, bytes, type(None), range)
#: Modules whose objects never change.
_OF_ATOMS = frozenset(
    ["datetime", "decimal", "_decimal", "_pydecimal", "uuid", "fractions", "pathlib", "re"]
)
_GROUPS = (tuple, frozenset, list, dict, set)
#: How deep, and at how many parts of each, it is looked whether a value is plain data.
_DEPTH, _MAX_PARTS = 4, 100


def describe_write(old: Any, new: Any, objects: SharedObjects) -> Written:
    """What becomes of a variable when ``new`` takes the place of ``old``.

    Args:
        old: the value before; None: there was none; ``UNSEEN``: it is not known.
        new: the value.
        objects: those that threads share.
    """
    constant = new if new is True or new is False else MIXED
    replaces = old is not None and old is not new and not _is_same(old, new)
    known = objects.get(new)
    key = None if known is None else known.key
    fills = is_a(old, CONTAINERS) and length(old) == 0 and new is not None
    return Written(constant, replaces, is_data(new), key, fills=fills)


def is_data(value: Any, depth: int = _DEPTH) -> bool:
    """Whether a value is made of numbers, texts and the like, and of containers of those."""
    kind = type(value)
    if kind in _ATOMS or kind is bool or shows_memory(kind):  # type: ignore[arg-type]
        return True
    if depth == 0:
        return False
    if kind in (tuple, frozenset, list, set):
        return len(value) <= _MAX_PARTS and all(is_data(each, depth - 1) for each in _copy(value))
    if kind is dict:
        return len(value) <= _MAX_PARTS and all(
            is_data(each, depth - 1) for pair in _copy(value.items()) for each in pair
        )
    if module_of_type(kind) in _OF_ATOMS or is_a(value, _enum()):
        return True
    if is_a(value, tuple) and hasattr(kind, "_fields"):
        return all(is_data(each, depth - 1) for each in tuple.__iter__(value))
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is not None and parameters.frozen:
        names = kind.__dataclass_fields__
        return all(is_data(getattr(value, name, None), depth - 1) for name in names)
    return False


def _copy(values: Any) -> list[Any]:
    try:
        return list(values)
    except RuntimeError:  # it changes just now
        return [object()]


def _is_same(old: Any, new: Any) -> bool:
    if type(old) is not type(new) or not (is_data(old) and is_data(new)):
        return False
    if shows_memory(type(old)):  # type: ignore[arg-type]
        return False
    try:
        return bool(old == new)
    except Exception:  # of a part
        return False


def _enum() -> tuple[type, ...]:
    module = sys.modules.get("enum")
    return () if module is None else (module.Enum,)


__all__ = ["ABSENT", "UNSEEN", "describe_write", "is_data"]
