"""Which lines of a program a check has called: a silence elsewhere may be of use to another check.

A module may hold several adapters, and a check calls the tools of one; of these, only what has examples.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Collection
from types import ModuleType

from ...marking import tool_options


class Scope:
    """What one check calls.

    Args:
        target: the adapter: its class, an instance, or a module.
        not_called: the names of those of its tools that are not called.
    """

    def __init__(self, target: object, not_called: Collection[str] = ()) -> None:
        self._target = target
        self._class = target if isinstance(target, type) else type(target)
        self._not_called = frozenset(not_called)
        self._left_out: dict[str, list[range]] = {}
        #: Adapters that are checked another time.
        self._others: set[str] = set()

    def add(self, files: Collection[str]) -> None:
        """Look at the modules of these files, which have been imported."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file in files and file not in self._left_out:
                self._left_out[file] = self._look_at(module, file)

    def leaves_out(self, file: str, line: int) -> bool:
        """Whether a line is part of tools that this check does not call."""
        return any(line in lines for lines in self._left_out.get(file, ()))

    def is_of_another(self, variable: str) -> bool:
        """Whether a variable, or a pattern for some, is of an adapter that is checked another time."""
        return variable.partition(".")[0] in self._others

    def _look_at(self, module: ModuleType, file: str) -> list[range]:
        try:
            tree = ast.parse("".join(linecache.getlines(file)))
        except SyntaxError:
            return []
        found = []
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            value = vars(module).get(node.name)
            if isinstance(node, ast.ClassDef):
                found += self._class_lines(node, value)
            elif not self._is_called(value, node.name, self._target is module):
                found.append(_lines(node))
        return found

    def _class_lines(self, node: ast.ClassDef, value: object) -> list[range]:
        if not isinstance(value, type):
            return []
        if not issubclass(self._class, value):
            if not any(
                tool_options(each) for base in value.__mro__ for each in vars(base).values()
            ):
                return []  # no adapter: it may be part of one
            self._others.add(node.name)
            return [_lines(node)]
        methods = (
            each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        return [
            _lines(each)
            for each in methods
            if not self._is_called(vars(value).get(each.name), each.name, True)
        ]

    def _is_called(self, value: object, name: str, of_target: bool) -> bool:
        """Whether it is a tool that is called, or none: whoever is called may call that."""
        options = tool_options(value)
        return options is None or (of_target and (options.name or name) not in self._not_called)


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
