"""Which names are whose: a function's own, those of functions around it, the module's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from .syntax import tested_names


class Scope:
    """The names of one function, or of a class body."""

    def __init__(self, name: str = "", *, is_class: bool = False) -> None:
        self.name = name
        self.is_class = is_class
        #: Local variables by which it is decided how the function goes on.
        self.tested: set[str] = set()
        self.locals: set[str] = set()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        #: Names that functions inside of it assign to.
        self.rebound_inside: set[str] = set()

    @classmethod
    def of(cls, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Scope:
        """The names that a function has, without those of functions inside of it."""
        scope = cls(f"{getattr(function, 'name', 'lambda')}:{function.lineno}")
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
        scope.locals.update(argument.arg for argument in every)
        body = function.body if isinstance(function.body, list) else [function.body]
        scope.tested = tested_names(body)
        pending: list[ast.AST] = list(body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Global):
                scope.globals.update(node.names)
            elif isinstance(node, ast.Nonlocal):
                scope.nonlocals.update(node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                scope.locals.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                scope.locals.add(node.name)
                inner = ast.walk(node)
                scope.rebound_inside.update(
                    name for n in inner if isinstance(n, ast.Nonlocal) for name in n.names
                )
                continue
            elif isinstance(node, ast.Lambda):
                continue
            elif isinstance(node, ast.Import | ast.ImportFrom):
                scope.locals.update((a.asname or a.name.partition(".")[0]) for a in node.names)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                scope.locals.add(node.name)
            pending.extend(ast.iter_child_nodes(node))
        scope.locals -= scope.globals
        scope.rebound_inside &= scope.locals
        return scope


class Symbols:
    """The functions and classes that the rewriter is in, and which names are whose there.

    Args:
        rebound: names of the module that some function assigns to.
    """

    def __init__(self, rebound: set[str]) -> None:
        self._rebound = rebound
        self._classes: list[str] = []
        #: The innermost comes last.
        self._scopes: list[Scope] = []

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """In the block, the rewriter is in a function or a class more."""
        if scope.is_class:
            self._classes.append(scope.name)
        self._scopes.append(scope)
        yield
        self._scopes.pop()
        if scope.is_class:
            self._classes.pop()

    @property
    def function(self) -> Scope | None:
        """The innermost function; None in a class or in no function."""
        scope = self._scopes[-1] if self._scopes else None
        return None if scope is None or scope.is_class else scope

    def is_global(self, name: str) -> bool:
        """Whether it is a variable of the module that some function assigns to."""
        if name not in self._rebound:
            return False
        for scope in reversed(self._scopes):
            if name in scope.globals:
                return True
            if not scope.is_class and name in scope.locals:
                return False
        return any(not scope.is_class for scope in self._scopes)

    def is_free(self, name: str) -> bool:
        """Whether the innermost function uses a variable of a function around it."""
        scope = self.function
        if scope is None or name in scope.locals - scope.nonlocals or name in scope.globals:
            return False
        return any(not s.is_class and name in s.locals for s in self._scopes[:-1])

    def is_rebound_cell(self, name: str) -> bool:
        """Whether it is a variable of a function that an inner one assigns to (``nonlocal``)."""
        for scope in reversed(self._scopes):
            if scope.is_class:
                continue
            if name in scope.nonlocals or name in scope.rebound_inside:
                return True
            if name in scope.locals or name in scope.globals:
                return False
        return False

    def mangle(self, name: str) -> str:
        """A private name as the class has it: text is not mangled by the compiler."""
        if not self._classes or not name.startswith("__") or name.endswith("__"):
            return name
        return f"_{self._classes[-1].lstrip('_')}{name}"
