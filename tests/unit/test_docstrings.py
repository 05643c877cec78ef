"""What ``Args:`` names is an argument, one on each line, as those who render docstrings expect it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent
FILES = [path for path in ROOT.rglob("*.py") if "_generated" not in path.parts]


def named(docstring: str) -> list[str]:
    """The lines of ``Args:`` that begin an argument, up to the colon."""
    block = re.search(r"^Args:\n((?:    .*\n|\n)*)", docstring + "\n", re.M)
    return re.findall(r"^    (\S[^:\n]*):", block[1], re.M) if block else []


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Those of a function, with the stars of the ones that take all others."""
    args = node.args
    names = {arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)}
    names |= {f"*{args.vararg.arg}"} if args.vararg else set()
    return names | ({f"**{args.kwarg.arg}"} if args.kwarg else set())


def known(node: ast.AST) -> set[str]:
    """What the docstring of a function or a class may call an argument."""
    if not isinstance(node, ast.ClassDef):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        return arguments(node)
    names: set[str] = set()
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            names |= arguments(member)
        elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            names.add(member.target.id)  # of a class that makes its __init__ of its attributes
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_argument_that_is_described_is_one(path: Path) -> None:
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = named(ast.get_docstring(node) or "")
            plain = {name.lstrip("*") for name in known(node)} | known(node)
            wrong += [f"{node.name}: {name}" for name in names if name not in plain]
    assert wrong == []
