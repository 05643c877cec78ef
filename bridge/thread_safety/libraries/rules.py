"""What is documented: applies the library table to the calls that rewritten code makes.

A method of an object that threads must not share counts as a write to it; a function that changes
the whole process is a finding wherever a call makes it; and the imports of unsafe libraries are
noted.
"""

from __future__ import annotations

import os
import sys

from ..detector.access_modes import WRITE
from ..detector.findings import DOCUMENTED, Access, Finding
from ..instrument.stacks import Stacks
from .table import ImportWatch, Libraries, is_worse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from ..detector.detector import Detector
    from ..instrument.recorder import Teller
    from ..instrument.shared_objects import Shared
    from .table import Library

#: Watched by the operations themselves, not by calls.
_WATCHED = frozenset(["numpy", "builtins", "array", "collections"])

#: The modules that show what others define.
_PUBLIC = {"posix": "os", "_signal": "signal", "_py_warnings": "warnings"}


class Rules:
    """The library table at work. While it is entered, notes what the program imports.

    ``is_own``: does a module belong to the program? ``libraries``: what was imported that promises
    less than to be shared, by name.
    """

    def __init__(self, detector: Detector, is_own: Callable[[str], bool]) -> None:
        self._detector = detector
        self._is_own = is_own
        self._table = Libraries()
        self._watch = ImportWatch(self._table, self._imported, is_own)
        self._types: dict[type, str | None] = {}
        self._functions: dict[tuple[str, str], tuple[str, Library, str] | None] = {}
        self.libraries: dict[str, Library] = {}

    def __enter__(self) -> Rules:
        self._watch.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.__exit__(kind, error, trace)

    def for_type(self, kind: type) -> str | None:
        """What is documented about sharing objects of a type; None if it is safe, or unknown."""
        if kind not in self._types:
            found = self._table.for_type(kind)
            advice = None
            if found is not None and found[0].name not in _WATCHED:
                library, level = found
                unsafe = is_worse(level, "shared_objects")
                named = any(
                    part.type.rpartition(".")[2] == kind.__name__ for part in library.objects
                )
                if unsafe and (named or not library.standard):
                    advice = library.advice()
            self._types[kind] = advice
        return self._types[kind]

    def concern(self, function: Any, bound: Any) -> bool:
        """Has ``called`` to know of a function, or a method of a type? Always the same."""
        if bound is os.environ or self.for_type(type(bound)) is not None:
            return True
        found = self._documented(function, bound)
        return found is not None and _has_state(found)

    def called(
        self, probe: Teller, function: Any, bound: Any, shared: Shared | None, args: tuple[Any, ...]
    ) -> None:
        """A function, or a method of ``bound``, is called; ``shared``: if that is known to threads."""
        if shared is not None:
            advice = self.for_type(type(bound))
            if advice is not None:
                probe.tell(shared, "its state", WRITE, shared.name, advice)
                return
        self._function_called(probe, function, bound)
        if bound is os.environ and getattr(function, "__name__", "") not in (
            "get",
            "copy",
            "items",
        ):
            self._changes_process(probe, "os.environ", self._find("os", "environ"))

    def item_set(self, probe: Teller, container: Any) -> None:
        """An item of an object that is not watched is set or deleted."""
        if container is os.environ:
            self._changes_process(probe, "os.environ", self._find("os", "environ"))

    def rule(self, finding: Finding) -> None:
        """Report a finding that something else has made."""
        self._detector.report(finding)

    # -- parts ------------------------------------------------------------------------------

    def _function_called(self, probe: Teller, function: Any, bound: Any) -> None:
        found = self._documented(function, bound) if probe.in_call else None
        if found is None:
            return
        title, library, level = found
        if title in {part.type for part in library.objects}:
            # a method of the same name, of another object than the global one, is none of these
            if level == "incompatible" and _resolve(title) == function:
                self._changes_process(probe, title, found)
        elif _has_state(found):
            probe.tell_rule(library.name, library.name, library.advice())

    def _documented(self, function: Any, bound: Any) -> tuple[str, Library, str] | None:
        module = getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", None) or ""
        if module is None and bound is not None:
            module = type(bound).__module__
        if module is None or module == "builtins" or not name:
            return None
        return self._find(module, name)

    def _find(self, module: str, name: str) -> tuple[str, Library, str] | None:
        key = module, name
        if key not in self._functions:
            module = _PUBLIC.get(module, module)
            title = f"{module}.{name}"
            found = self._table.for_name(title)
            self._functions[key] = None
            if found is not None:
                library, level = found
                last = name.rpartition(".")[2]
                named = [p for p in library.objects if p.type.rpartition(".")[2] == last]
                if named:
                    self._functions[key] = named[0].type, library, named[0].level
                elif not library.standard:
                    # of the standard library only what is named: the rest is harmless
                    self._functions[key] = title, library, level
        return self._functions[key]

    def _changes_process(
        self, probe: Teller, title: str, found: tuple[str, Library, str] | None
    ) -> None:
        if found is None or not probe.in_call:
            return
        library = found[1]
        caveat = next(
            (part.caveat for part in library.objects if part.type == title), library.caveat
        )
        access = Access(probe.thread, 0, "change", probe.locks(), probe.stack(), None)
        with probe.lock:
            self._detector.report(
                Finding(
                    DOCUMENTED,
                    title,
                    "a call changes the state of the whole process, which all threads share",
                    f"{caveat} {library.workaround} See {library.sources[0]}",
                    access,
                )
            )

    def _imported(self, library: Library, module: str, thread: int) -> None:
        self.libraries[library.name] = library
        if library.level == "incompatible" and not library.standard:
            stack = Stacks(self._is_own).here()
            access = Access(thread, 0, "import", frozenset(), stack, None)
            self._detector.report(
                Finding(DOCUMENTED, library.name, f"{module} imports it", library.advice(), access)
            )


def _has_state(found: tuple[str, Library, str]) -> bool:
    """Does a function work on the state of the process, or of its module, as those of pyplot?"""
    _, library, level = found
    return level == "incompatible" or (level == "compatible" and "." in library.modules[0])


def _resolve(title: str) -> Any:
    """What a qualified name means now, without importing anything; None if nothing."""
    module, _, name = title.rpartition(".")
    return getattr(sys.modules.get(module), name, None)
