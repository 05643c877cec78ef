"""Which libraries may be used from several threads, and how: a table with sources.

The facts stand in ``libraries.toml``, in the five levels of CPython
(https://docs.python.org/3/library/threadsafety.html). This module looks them up, and words them
as advice. The table is read when it is first asked, and no library in it is ever imported for an
answer.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

from .type_names import module_of_type, mro_of_type, qualname_of_type

#: What each level means, worst first.
LEVELS = {
    "incompatible": "not safe on several threads, whatever is locked",
    "compatible": "safe only under a lock of yours",
    "distinct_objects": "safe while each thread has its own objects",
    "shared_objects": "safe to share between threads",
    "atomic": "safe to share, each operation happens at once",
}

#: Where an object belongs to a thread.
AFFINITIES = {
    "main_thread": "on the main thread",
    "creating_thread": "on the thread that made it",
}


class LibraryObject:
    """A type or function of a library that is safer, or less safe, than the rest of it."""

    __slots__ = ("type", "level", "affinity", "caveat")

    def __init__(self, row: dict[str, Any]) -> None:
        self.type: str = row["type"]
        self.level: str = row["level"]
        self.affinity: str | None = row.get("affinity")
        self.caveat: str = row["caveat"]


class Library:
    """What is known of one library; the attributes are the fields of the table."""

    __slots__ = (
        *("name", "modules", "level", "affinity", "gil_released", "free_threaded_since"),
        *("caveat", "workaround", "sources", "objects", "version", "date"),
    )

    def __init__(self, row: dict[str, Any]) -> None:
        self.name: str = row["name"]
        self.modules: tuple[str, ...] = tuple(row["modules"])
        self.level: str = row["level"]
        self.affinity: str | None = row.get("affinity")
        self.gil_released: str = row["gil_released"]
        self.free_threaded_since: str = row["free_threaded_since"]
        self.caveat: str = row["caveat"]
        self.workaround: str = row["workaround"]
        self.sources: tuple[str, ...] = tuple(row["sources"])
        #: Which version was looked at, and on which day.
        self.version: str = row["version"]
        self.date: str = row["date"]
        self.objects = tuple(map(LibraryObject, row.get("objects", ())))

    @property
    def standard(self) -> bool:
        """Whether it belongs to Python itself."""
        return self.modules[0].partition(".")[0] in sys.stdlib_module_names

    def describe(self) -> dict[str, Any]:
        """All fields, as JSON has them."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"modules": list(self.modules), "sources": list(self.sources)}
        fields["objects"] = [
            {name: getattr(part, name) for name in part.__slots__} for part in self.objects
        ]
        return fields

    def advice(self, part: LibraryObject | None = None) -> str:
        """One line on the library or a part: level in words, caveat, workaround and a source."""
        if part:
            words = f"{part.type} is {level_in_words(part.level, part.affinity)}. {part.caveat}"
        else:
            but = any(is_worse(each.level, self.level) for each in self.objects)
            words = f"{self.name} is {level_in_words(self.level, self.affinity)}"
            words += f"{', but not all of it' if but else ''}. {self.caveat}"
        return f"{words} {self.workaround} See {self.sources[0]}"


def level_in_words(level: str, affinity: str | None = None) -> str:
    """What a level means, and where an object is at home. Raises ``KeyError`` for an unknown one."""
    return LEVELS[level] + (f", {AFFINITIES[affinity]}" if affinity else "")


def is_worse(level: str, than: str) -> bool:
    """Whether ``level`` promises less than the other. Raises ``ValueError`` for an unknown one."""
    order = list(LEVELS)
    return order.index(level) < order.index(than)


class Libraries:
    """The table, looked up by the names of modules, types and functions. For any thread.

    Args:
        path: the table; default: the one that comes with the bridge.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._read: _Table | None = None

    def __iter__(self) -> Iterator[Library]:
        return iter(self._table().libraries)

    def for_module(self, name: str) -> Library | None:
        """The library that a module belongs to, as ``matplotlib.pyplot.style``."""
        by_module = self._table().by_module
        while name:
            if name in by_module:
                return by_module[name]
            name = name.rpartition(".")[0]
        return None

    def for_name(self, name: str) -> tuple[Library, str] | None:
        """The library and level of a type or function, as ``os.chdir`` or ``requests.Session``.

        It may be named as it is imported or as it is defined, as ``requests.sessions.Session``.
        """
        found = self._table().find(name)
        if found:
            return found[0], found[1].level
        library = self.for_module(".".join(_parts(name)))
        return (library, library.level) if library else None

    def for_type(self, type: type) -> tuple[Library, str] | None:
        """The library and level of a type, or of the nearest of its bases that has one."""
        names = [f"{module_of_type(each)}.{qualname_of_type(each)}" for each in mro_of_type(type)]
        for found in map(self._table().find, names):
            if found:
                return found[0], found[1].level
        for library in map(self.for_module, (".".join(_parts(name)) for name in names)):
            if library:
                return library, library.level
        return None

    def advice(self, name: str) -> str | None:
        """One line on a type, a function or a module, named as for ``for_name``."""
        found = self._table().find(name)
        if found:
            return found[0].advice(found[1])
        library = self.for_module(".".join(_parts(name)))
        return library.advice() if library else None

    def describe(self) -> list[dict[str, Any]]:
        """All libraries, as JSON has them."""
        return [library.describe() for library in self]

    def _table(self) -> _Table:
        table = self._read
        if table is None:  # two threads may read it; both come to the same
            table = self._read = _own_table() if self._path is None else _read_table(self._path)
        return table


class _Table:
    """What was read, with its indexes; never changed once it is made."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.libraries = [Library(row) for row in rows]
        self.by_module = {module: each for each in self.libraries for module in each.modules}
        self._by_ends: dict[tuple[str, str], list[tuple[list[str], Library, LibraryObject]]] = {}
        for library in self.libraries:
            for part in library.objects:
                parts = _parts(part.type)
                row = self._by_ends.setdefault((parts[0], parts[-1]), [])
                row.append((parts, library, part))

    def find(self, name: str) -> tuple[Library, LibraryObject] | None:
        """The entry of a type or function, by the name of where it is defined.

        Libraries define their types deeper than they offer them: ``requests.Session`` is
        ``requests.sessions.Session``, ``io.TextIOWrapper`` is ``_io.TextIOWrapper``. An entry
        fits if its parts all occur in that order, the first and the last at the ends.
        """
        parts = _parts(name)
        for entry, library, part in self._by_ends.get((parts[0], parts[-1]), ()):
            rest = iter(parts)
            if all(each in rest for each in entry):
                return library, part
        return None


@functools.cache  # nothing can change it, and a checker that is made for one test asks again
def _own_table() -> _Table:
    return _read_table(os.path.join(os.path.dirname(__file__), "libraries.toml"))


def _read_table(path: str) -> _Table:
    import tomllib

    with open(path, "rb") as file:
        return _Table(tomllib.load(file)["library"])


def _parts(name: str) -> list[str]:
    return [part.lstrip("_") for part in name.split(".")]
