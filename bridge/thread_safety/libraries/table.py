"""Which libraries may be used from several threads, and how: a table with sources.

The facts stand in ``libraries.toml``, in the five levels of CPython
(https://docs.python.org/3/library/threadsafety.html). This module looks them up, words them as
advice, and watches what an adapter imports. The table is read when it is first asked, and no
library in it is ever imported for an answer. ``python -m bridge.thread_safety.libraries`` prints
the documentation page.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType, TracebackType
    from typing import Any

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
        *("caveat", "workaround", "sources", "objects"),
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
        self.objects = tuple(map(LibraryObject, row.get("objects", ())))

    @property
    def standard(self) -> bool:
        """Does it belong to Python itself?"""
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
    """Does ``level`` promise less than the other? Raises ``ValueError`` for an unknown one."""
    order = list(LEVELS)
    return order.index(level) < order.index(than)


class Libraries:
    """The table, looked up by the names of modules, types and functions. For any thread.

    ``path``: the table; the one that comes with the bridge by default.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path or os.path.join(os.path.dirname(__file__), "libraries.toml")
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
        names = [f"{base.__module__}.{base.__qualname__}" for base in type.__mro__]
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
            import tomllib

            with open(self._path, "rb") as file:
                table = self._read = _Table(tomllib.load(file)["library"])
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


def _parts(name: str) -> list[str]:
    return [part.lstrip("_") for part in name.split(".")]


class ImportWatch:
    """Tells, while it is entered, when an adapter's own code imports a library that is unsafe.

    ``note(library, module, thread)`` is called once per library, after the import and on the
    thread that imports, with the name of the module whose code it was; what it raises comes out
    of the import. ``is_own`` says of a module's name whether its imports count. A library is
    unsafe if it promises less than ``safe``.

    A finder on ``sys.meta_path`` is asked only for modules that nobody has imported yet, and not
    told who asks. ``builtins.__import__`` is what every import statement calls, with the globals
    of the code that it stands in, so it is wrapped, and ``importlib.import_module`` as
    well. A wrapper costs one call per import statement that runs; whatever else wraps the same
    functions meanwhile may stay, as a wrapper left behind only passes on. Not seen: an
    ``import_module`` that was bound to a name before.
    """

    def __init__(
        self,
        libraries: Libraries,
        note: Callable[[Library, str, int], None],
        is_own: Callable[[str], bool],
        *,
        safe: str = "shared_objects",
    ) -> None:
        self._libraries = libraries
        self._note = note
        self._is_own = is_own
        self._safe = safe
        self._lock = threading.Lock()
        self._noted: set[str] = set()
        self._entered = False

    def __enter__(self) -> ImportWatch:
        self._entered = True
        self._import = builtins.__import__
        self._import_module: Any = importlib.import_module
        self._wrapped_import = self._wrap_import(self._import)
        self._wrapped_import_module: Any = self._wrap_import_module(self._import_module)
        builtins.__import__ = self._wrapped_import
        importlib.import_module = self._wrapped_import_module
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered = False
        if builtins.__import__ is self._wrapped_import:
            builtins.__import__ = self._import
        if importlib.import_module is self._wrapped_import_module:
            importlib.import_module = self._import_module

    def _wrap_import(self, wrapped: Callable[..., Any]) -> Callable[..., Any]:
        def watched_import(
            name: str,
            globals: Any = None,
            locals: Any = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> Any:
            module = wrapped(name, globals, locals, fromlist, level)
            if self._entered and level == 0:  # a relative import stays at home
                names = [f"{name}.{each}" for each in fromlist] if fromlist else [name]
                self._look(names, globals or sys._getframe(1).f_globals)
            return module

        return watched_import

    def _wrap_import_module(self, wrapped: Callable[[str, str | None], ModuleType]) -> Any:
        def import_module(name: str, package: str | None = None) -> ModuleType:
            module = wrapped(name, package)
            if self._entered:
                self._look([name], sys._getframe(1).f_globals)
            return module

        return import_module

    def _look(self, names: list[str], globals: dict[str, Any]) -> None:
        importer = globals.get("__name__")
        if not isinstance(importer, str) or not self._is_own(importer):
            return
        for name in names:
            library = self._libraries.for_module(name)
            if library and is_worse(library.level, self._safe) and self._is_first(library):
                self._note(library, importer, threading.get_ident())

    def _is_first(self, library: Library) -> bool:
        with self._lock:
            known = library.name in self._noted
            self._noted.add(library.name)
        return not known


def page(libraries: Libraries) -> str:
    """The table as a page of documentation, in Markdown."""
    others = sorted((each for each in libraries if not each.standard), key=_sort_key)
    standard = sorted((each for each in libraries if each.standard), key=_sort_key)
    levels = "\n".join(f"- **{level}**: {words}" for level, words in LEVELS.items())
    head = _HEAD.format(count=len(others), levels=levels)
    parts = (head, *_overview(others), *_chapters(others), _STANDARD, *_chapters(standard))
    return "\n".join(parts).rstrip("\n") + "\n"


_HEAD = """# Which libraries are safe on several threads?

Tools run on several threads at once, so what they call must bear that. This page says what is
known of {count} libraries and of Python's own, from their documentation and their maintainers. It
is printed by `python -m bridge.thread_safety.libraries` from the table
`bridge/thread_safety/libraries/libraries.toml`; a test compares them.

The levels are [CPython's](https://docs.python.org/3/library/threadsafety.html), worst first:

{levels}

A library that is missing here is not known to be unsafe: it is not known. "GIL released" is about
its main work, or the wait of a client; where it says yes, threads can work in parallel on every
Python. "Free-threaded" names the first version with a wheel for free-threaded Python, according
to the [tracking page](https://py-free-threading.github.io/tracking/) of 28 June 2026 and the
sources; "pure" needs none.

## Libraries
"""

_STANDARD = """## Python's standard library

Its modules are harmless to import. What stands here changes the state of the whole process, or
makes objects that must not be shared.
"""


def _sort_key(library: Library) -> str:
    return library.name.lower()


def _overview(libraries: list[Library]) -> list[str]:
    """A table of four columns."""
    rows = [
        f"| [{each.name}](#{_anchor(each.name)}) | {each.level} | {each.gil_released} "
        f"| {each.free_threaded_since} |"
        for each in libraries
    ]
    return [
        "| Library | Level | GIL released | Free-threaded |",
        "| --- | --- | --- | --- |",
        *rows,
    ]


def _chapters(libraries: list[Library]) -> Iterator[str]:
    """What there is to say of each library."""
    for library in libraries:
        yield f"### {library.name}\n"
        if not library.standard:
            yield f"**{library.level}**: {level_in_words(library.level, library.affinity)}.\n"
        yield f"{library.caveat} *Instead:* {library.workaround}\n"
        for part in library.objects:
            words = level_in_words(part.level, part.affinity)
            yield f"- `{part.type}`: **{part.level}**, {words}. {part.caveat}"
        links = (f"[{number}]({url})" for number, url in enumerate(library.sources, 1))
        yield ("\n" if library.objects else "") + f"Sources: {', '.join(links)}\n"


def _anchor(title: str) -> str:
    """The fragment that a heading gets on the sites that render Markdown."""
    return "".join(each for each in title.lower() if each.isalnum() or each in "-_")
