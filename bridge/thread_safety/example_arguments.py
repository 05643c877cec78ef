"""Arguments for a tool that gives no examples, made by Hypothesis from its annotations.

They are small, and the same each time. Only builtin types are guessed: what a string has to look
like, or which keys a dict needs, nobody but the tool knows.
"""

from __future__ import annotations

import ast
from typing import Any

from ..tool import Tool

_MOST = 3


def guess_arguments(tool: Tool) -> list[dict[str, Any]]:
    """Some arguments by name; none if a type is not known, or Hypothesis is not there."""
    needed = [parameter for parameter in tool.parameters if parameter.required]
    if any(parameter.kind == "positional" for parameter in needed):
        return []
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis.strategies import fixed_dictionaries

        strategies = {
            parameter.name: _strategy(ast.parse(parameter.annotation or "", mode="eval").body)
            for parameter in needed
        }
    except (ImportError, SyntaxError, _Unknown):
        return []
    found: list[dict[str, Any]] = []
    all_checks: Any = HealthCheck  # iterating over it leaves out what is deprecated

    @settings(
        max_examples=_MOST,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(all_checks),
    )
    @given(fixed_dictionaries(strategies))
    def collect(arguments: dict[str, Any]) -> None:
        found.append(arguments)

    collect()
    return found


class _Unknown(Exception):
    """No values are known for a type."""


def _strategy(annotation: ast.expr) -> Any:
    from hypothesis import strategies

    simple = {
        "int": strategies.integers(0, 20),
        "float": strategies.floats(0, 20, allow_nan=False),
        "bool": strategies.booleans(),
        "str": strategies.text("abc", min_size=1, max_size=5),
        "bytes": strategies.binary(max_size=5),
        "None": strategies.none(),
    }
    match annotation:
        case ast.Name(name) if name in simple:
            return simple[name]
        case ast.Constant(None):
            return simple["None"]
        case ast.BinOp(left, ast.BitOr(), right):
            return _strategy(left) | _strategy(right)
        case ast.Subscript(ast.Name("Optional") | ast.Attribute(_, "Optional"), inner):
            return strategies.none() | _strategy(inner)
        case ast.Subscript(ast.Name("list" | "List"), inner):
            return strategies.lists(_strategy(inner), min_size=1, max_size=3)
        case ast.Subscript(ast.Name("dict" | "Dict"), ast.Tuple([key, value])):
            return strategies.dictionaries(_strategy(key), _strategy(value), max_size=3)
    raise _Unknown
