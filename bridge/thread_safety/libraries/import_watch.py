"""What a program imports: tells of the libraries that are unsafe on several threads."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .table import Libraries, Library, is_worse


class ImportWatch:
    """Tells, while it is entered, when an adapter's own code imports a library that is unsafe.

    Args:
        libraries: the table.
        note: called as ``note(library, module, thread)`` once per library, after the import and
            on the thread that imports, with the name of the module whose code it was; what it
            raises comes out of the import.
        is_own: says of a module, by its name, whether its imports count.
        safe: the level; a library that promises less is unsafe.

    A finder on ``sys.meta_path`` is asked only for modules that nobody has imported yet, and not
    told whose import it is. So rewritten code tells of its own imports, by ``imported``; besides,
    ``importlib.import_module`` is wrapped. Not ``builtins.__import__``: extension modules call it as
    well, PyTorch while it holds a guard of C++ for which other threads wait with the interpreter's
    lock; where it is written in Python, it gives that lock away, and none of them ever goes on. Not
    seen: an ``import_module`` that was bound to a name before, and imports within ``exec``.
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
        self._import_module: Any = importlib.import_module
        self._wrapped_import_module: Any = self._wrap_import_module(self._import_module)
        importlib.import_module = self._wrapped_import_module
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        if importlib.import_module is self._wrapped_import_module:
            importlib.import_module = self._import_module

    def imported(self, importer: str, *names: str) -> None:
        """The module ``importer`` has imported these. Any thread may tell."""
        if self._entered:
            self._look(names, importer)

    def _wrap_import_module(self, wrapped: Callable[[str, str | None], ModuleType]) -> Any:
        def import_module(name: str, package: str | None = None) -> ModuleType:
            module = wrapped(name, package)
            if self._entered:
                self._look([name], sys._getframe(1).f_globals.get("__name__"))
            return module

        return import_module

    def _look(self, names: Sequence[str], importer: object) -> None:
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
