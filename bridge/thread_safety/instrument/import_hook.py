"""Brings the program that is checked into its rewritten form: as it is imported, or afterwards.

Rewritten are the modules of the adapter's own top-level package and those below the application's
directory; libraries stay as they are.
"""

from __future__ import annotations

import gc
import sys
import types
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

from .rewriter import PROBE, rewrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any

    from .probe import Probe

_FOREIGN = frozenset(["site-packages", "dist-packages"])


class OwnModules(MetaPathFinder):
    """The modules that belong to the program; while installed, rewrites those that are imported.

    ``packages``: names of top-level packages or modules. ``directory``: whatever is below it
    belongs to the program, too. ``loaded`` is called with each module once it is there.
    """

    def __init__(
        self,
        packages: Sequence[str],
        directory: str | None,
        loaded: Callable[[types.ModuleType], object],
    ) -> None:
        self._packages = frozenset(packages)
        self._directory = None if directory is None else Path(directory).resolve()
        self._loaded = loaded
        self.probe: Probe
        #: The names of the modules that were rewritten.
        self.rewritten: set[str] = set()
        self._swapped: list[tuple[types.FunctionType, types.CodeType]] = []

    def __contains__(self, module: str) -> bool:
        return module in self.rewritten

    def install(self) -> None:
        """From now on, rewrite what is imported."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Rewrite nothing more, and undo what was done to loaded functions."""
        sys.meta_path.remove(self)
        while self._swapped:
            function, code = self._swapped.pop()
            function.__code__ = code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        if not self._belongs(name, spec.loader.path):
            return None
        self.rewritten.add(name)
        spec.loader = _RewritingLoader(name, spec.loader.path, self)
        return spec

    def rewrite_loaded(self, module: types.ModuleType) -> None:
        """Give the functions of a module that is loaded already their rewritten code."""
        path = getattr(module, "__file__", None)
        if module.__name__ in self.rewritten or path is None or not path.endswith(".py"):
            return
        source = Path(path).read_bytes()
        new = _codes(compile(rewrite(source, path, module.__name__), path, "exec"))
        self.rewritten.add(module.__name__)
        vars(module)[PROBE] = self.probe
        for function in _functions(module):
            old = function.__code__
            found = new.get((old.co_qualname, old.co_firstlineno))
            if old.co_filename == path and found and found.co_freevars == old.co_freevars:
                self._swapped.append((function, old))
                function.__code__ = found
        self._loaded(module)

    def _belongs(self, name: str, path: str) -> bool:
        if is_bridge(name):
            return False
        if name in self._packages or name.partition(".")[0] in self._packages:
            return True
        if self._directory is None:
            return False
        file = Path(path).resolve()
        return file.is_relative_to(self._directory) and not _FOREIGN & set(file.parts)


def is_bridge(module: str) -> bool:
    """Does a module belong to the bridge itself? Its adapters are programs like any other."""
    return module.partition(".")[0] == "bridge" and not module.startswith("bridge.adapters.")


class _RewritingLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, own: OwnModules) -> None:
        super().__init__(name, path)
        self._own = own

    def get_code(self, fullname: str) -> types.CodeType:
        # neither from the cache nor to it: that is for the program as it stands
        source = self.get_data(self.path)
        code: types.CodeType = compile(
            rewrite(source, self.path, fullname), self.path, "exec", dont_inherit=True
        )
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)[PROBE] = self._own.probe
        super().exec_module(module)
        self._own._loaded(module)


def _codes(code: types.CodeType) -> dict[tuple[str, int], types.CodeType]:
    """The code of every function in a module, by qualified name and first line."""
    found: dict[tuple[str, int], types.CodeType] = {}
    pending: list[Any] = [code]
    while pending:
        code = pending.pop()
        found[code.co_qualname, code.co_firstlineno] = code
        pending.extend(const for const in code.co_consts if isinstance(const, types.CodeType))
    return found


def _functions(module: types.ModuleType) -> list[types.FunctionType]:
    """All functions there are, as far as they can be found: of any module, but all of this one.

    The garbage collector knows nearly all. A free-threaded Python hides from it those that live
    for ever, which are those at the top of modules and classes, and what decorators made of them.
    """
    found = {id(each): each for each in gc.get_objects() if type(each) is types.FunctionType}
    reached: dict[int, types.FunctionType] = {}
    pending: list[Any] = list(vars(module).values())
    while pending:
        value = pending.pop()
        kind = type(value)  # objects that answer for their class themselves are not asked
        if issubclass(kind, staticmethod | classmethod | types.MethodType):
            pending.append(value.__func__)
        elif issubclass(kind, property):
            pending += [value.fget, value.fset, value.fdel]
        elif kind is types.FunctionType and id(value) not in reached:
            reached[id(value)] = value
            pending += _captured(value)
        elif issubclass(kind, type) and value.__module__ == module.__name__:
            pending += vars(value).values()
    return list({**found, **reached}.values())


def _captured(function: types.FunctionType) -> Iterator[Any]:
    """What the closure of a function holds: of a decorator's, the function that it was put on."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass  # not assigned yet
