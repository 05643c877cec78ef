"""Brings the program that is checked into its rewritten form: as it is imported, or afterwards."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from ..libraries import module_of_type, vars_of_type
from .modules import ProgramModules
from .probe import Probe
from .rewriter import rewrite


class ImportHook(MetaPathFinder):
    """While installed, rewrites the modules of the program that are imported.

    Args:
        modules: which belong to it, and were rewritten.
        probe: what rewritten code calls; it watches each module once that is there.
    """

    def __init__(self, modules: ProgramModules, probe: Probe) -> None:
        self._modules = modules
        self._probe = probe
        self._swapped: list[tuple[FunctionType, CodeType]] = []

    def install(self) -> None:
        """From now on, rewrite what is imported."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Rewrite nothing more, and undo what was done to loaded functions."""
        sys.meta_path.remove(self)
        while self._swapped:
            function, code = self._swapped.pop()
            function.__code__ = code

    def files(self) -> list[str]:
        """The files of the modules that were rewritten."""
        modules = [sys.modules.get(name) for name in sorted(self._modules.rewritten)]
        files = (getattr(module, "__file__", None) for module in modules)
        return [file for file in files if isinstance(file, str)]

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module with a loader that rewrites it; None if it is none of the program."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        if not self._modules.belongs(name, spec.loader.path):
            return None
        self._modules.rewritten.add(name)
        spec.loader = _RewritingLoader(name, spec.loader.path, self._probe)
        return spec

    def rewrite_loaded(self, module: ModuleType) -> None:
        """Give the functions of a module that is loaded already their rewritten code.

        Raises:
            SyntaxError: its file is not what was loaded any more.
        """
        path = getattr(module, "__file__", None)
        name = module.__name__
        if name in self._modules.rewritten or path is None or not path.endswith(".py"):
            return
        source = Path(path).read_bytes()
        new = _codes(compile(rewrite(source, path, name), path, "exec"))
        self._modules.rewritten.add(name)
        self._probe.install(module)
        for function in _functions(module):
            old = function.__code__
            found = new.get((old.co_qualname, old.co_firstlineno))
            if old.co_filename == path and found and found.co_freevars == old.co_freevars:
                self._swapped.append((function, old))
                function.__code__ = found
        self._probe.watch_module(module)


class _RewritingLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, probe: Probe) -> None:
        super().__init__(name, path)
        self._probe = probe

    def get_code(self, fullname: str) -> CodeType:
        # neither from the cache nor to it: that is for the program as it stands
        source = self.get_data(self.path)
        code: CodeType = compile(
            rewrite(source, self.path, fullname), self.path, "exec", dont_inherit=True
        )
        return code

    def exec_module(self, module: ModuleType) -> None:
        self._probe.install(module)
        super().exec_module(module)
        self._probe.watch_module(module)


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """The code of every function in a module, by qualified name and first line."""
    found: dict[tuple[str, int], CodeType] = {}
    pending = [code]
    while pending:
        code = pending.pop()
        found[code.co_qualname, code.co_firstlineno] = code
        pending.extend(const for const in code.co_consts if isinstance(const, CodeType))
    return found


def _functions(module: ModuleType) -> list[FunctionType]:
    """All functions there are, as far as they can be found: of any module, but all of this one.

    The garbage collector knows nearly all. A free-threaded Python hides from it those that live
    for ever, which are those at the top of modules and classes, and what decorators made of them.
    """
    found = {id(each): each for each in gc.get_objects() if type(each) is FunctionType}
    reached: dict[int, FunctionType] = {}
    pending: list[Any] = list(vars(module).values())
    while pending:
        value = pending.pop()
        kind = type(value)  # objects that answer for their class themselves are not asked
        if issubclass(kind, staticmethod | classmethod | MethodType):
            pending.append(value.__func__)
        elif issubclass(kind, property):
            pending += [value.fget, value.fset, value.fdel]
        elif kind is FunctionType and id(value) not in reached:
            reached[id(value)] = value
            pending += _captured(value)
        elif issubclass(kind, type) and module_of_type(value) == module.__name__:
            pending += vars_of_type(value).values()
    return list({**found, **reached}.values())


def _captured(function: FunctionType) -> Iterator[Any]:
    """What the closure of a function holds: of a decorator's, the function that it was put on."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass  # not assigned yet
