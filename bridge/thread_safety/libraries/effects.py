"""What the methods, operators and attributes of library objects do to them: read, or write.

Two threads may read the same object; one that writes must be alone. The facts stand in
``effects.toml``, a row for each type. A method that a row does not name is what the row says of
others. Operators stand there by the names of their methods, ``__getitem__`` or ``__call__``.
"""

from __future__ import annotations

import fnmatch
import functools
import os
from typing import Any

from .type_names import module_of_type, mro_of_type, qualname_of_type

#: What a use does to an object.
READS, WRITES = "reads", "writes"


class Effect:
    """What is known of one type.

    Args:
        row: of the table: ``library``, ``type``, ``reads``, ``writes``, ``others``, and ``tested``, the
            version that it was seen to be right with, and the ``date``.
    """

    __slots__ = ("_modes", "_others", "_patterns", "date", "library", "tested", "type")

    def __init__(self, row: dict[str, Any]) -> None:
        self.library: str = row["library"]
        self.type: str = row["type"]
        #: None: it is known by documentation.
        self.tested: str | None = row.get("tested")
        self.date: str = row["date"]
        self._others: str = row["others"]
        self._modes = {
            **dict.fromkeys(row.get(READS, ()), READS),
            **dict.fromkeys(row.get(WRITES, ()), WRITES),
        }
        self._patterns = [(name, mode) for name, mode in self._modes.items() if "*" in name]

    def of(self, name: str) -> str:
        """``READS`` or ``WRITES``: what the method, operator or attribute of that name does.

        A row may have patterns, as ``add_*``; names with two underscores are of none.
        """
        found = self._modes.get(name)
        if found is None:
            found = self._others
            for pattern, mode in self._patterns:
                if not name.startswith("__") and fnmatch.fnmatchcase(name, pattern):
                    found = mode
        return found

    def names(self, mode: str) -> list[str]:
        """What the row names as reading, or as writing; ``...`` stands for all others."""
        found = [name for name, each in self._modes.items() if each == mode]
        return [*found, "..."] if self._others == mode else found


class Effects:
    """The table. For any thread."""

    def __init__(self) -> None:
        self._known: dict[type, Effect | None] = {}

    def for_type(self, kind: type) -> Effect | None:
        """What is known of a type, or of the nearest of its bases."""
        if kind not in self._known:
            self._known[kind] = _find(kind)
        return self._known[kind]

    def rows(self) -> list[Effect]:
        """All rows, in order."""
        return list(_table())


def _find(kind: type) -> Effect | None:
    for base in mro_of_type(kind):
        module, name = module_of_type(base), qualname_of_type(base)
        if isinstance(module, str):
            found = _by_ends().get((_parts(module)[0], name.lstrip("_")), ())
            parts = [*_parts(module), *_parts(name)]
            for effect in found:
                rest = iter(parts)
                if all(each in rest for each in _parts(effect.type)):
                    return effect
    return None


@functools.cache  # nothing can change it
def _table() -> tuple[Effect, ...]:
    import tomllib

    path = os.path.join(os.path.dirname(__file__), "effects.toml")
    with open(path, "rb") as file:
        return tuple(map(Effect, tomllib.load(file)["effect"]))


@functools.cache
def _by_ends() -> dict[tuple[str, str], list[Effect]]:
    found: dict[tuple[str, str], list[Effect]] = {}
    for effect in _table():
        parts = _parts(effect.type)
        found.setdefault((parts[0], parts[-1]), []).append(effect)
    return found


def _parts(name: str) -> list[str]:
    return [part.lstrip("_") for part in name.split(".")]
