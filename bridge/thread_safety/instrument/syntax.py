"""What can be said of a piece of Python by its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Sequence

#: Functions that look at the frame they are called from.
_FRAME_FUNCTIONS = frozenset(
    ["super", "locals", "globals", "eval", "exec", "dir", "breakpoint", "__import__", "_getframe",
     "currentframe", "stack", "extract_stack", "format_stack", "print_stack", "warn", "namedtuple",
     "NamedTuple", "TypedDict", "NewType", "TypeVar", "ParamSpec", "make_dataclass"]
)  # fmt: skip


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


def tested_names(body: Sequence[ast.AST]) -> set[str]:
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


def looks_at_its_caller(node: ast.Call) -> bool:
    """Whether a call may be of a function that looks at the frame it is called from."""
    name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
    if name == "type":
        return len(node.args) == 3  # a class made here belongs to the module
    return name in _FRAME_FUNCTIONS or (name == "vars" and not node.args)


def is_place(node: ast.AST, place: str) -> bool:
    """Whether a node is the attribute or item that is written ``place``."""
    return isinstance(node, ast.Attribute | ast.Subscript) and ast.unparse(node) == place


def leaves(body: list[ast.stmt]) -> bool:
    """Whether a block never comes to its end."""
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
