"""Which names of a function are whose: its own, those around it, the module's; and which decide."""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


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
        scope.tested = _tested(body)
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


def stored_names(target: ast.expr) -> list[str]:
    """The variables that a target assigns to."""
    return [
        n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]


def loaded_names(node: ast.AST) -> list[str]:
    """The variables that are read there, each once, in order."""
    return list(
        dict.fromkeys(
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        )
    )


def _tested(body: Sequence[ast.AST]) -> set[str]:
    """The variables in tests, and those from which their values are made."""
    nodes = [node for part in body for node in ast.walk(part)]
    tests = [node.test for node in nodes if isinstance(node, ast.If | ast.While | ast.IfExp)]
    names = {name for test in tests for name in loaded_names(test)}
    made: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in [name for target in targets for name in stored_names(target)]:
                made.setdefault(name, set()).update(loaded_names(node.value))
    pending = [name for name in names if name in made]
    found = set(pending)
    while pending:
        for name in made[pending.pop()] & made.keys():
            if name not in found:
                found.add(name)
                pending.append(name)
    return found
