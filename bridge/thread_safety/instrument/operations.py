"""How rewritten code calls the operations of the probe: names, and syntax trees.

In its module it finds four objects, and calls their methods (``probe.py`` puts them there). Not
one with all operations: an attribute of an object that is no method of its class takes CPython
longer to find.
"""

from __future__ import annotations

import ast

VARIABLES = "__bridge_variables__"
CONTAINERS = "__bridge_containers__"
DECISIONS = "__bridge_decisions__"
CALLS = "__bridge_calls__"
#: What rewritten code finds in its module.
NAMES = (VARIABLES, CONTAINERS, DECISIONS, CALLS)


def operation(holder: str, name: str) -> ast.expr:
    """The operation ``name`` of one of ``NAMES``."""
    return ast.Attribute(ast.Name(holder, ast.Load()), name, ast.Load())


def call(node: ast.AST, holder: str, name: str, *arguments: ast.expr) -> ast.expr:
    """A call of an operation in the place of ``node``."""
    made = ast.Call(operation(holder, name), list(arguments), [])
    return ast.fix_missing_locations(ast.copy_location(made, node))


def mark() -> ast.expr:
    """A call of the operation that says what point the call has come to."""
    return ast.Call(operation(DECISIONS, "mark"), [], [])


def settled(node: ast.AST, tests: list[str]) -> ast.stmt:
    """A statement behind ``node`` that says that these tests decide nothing more."""
    made = call(node, DECISIONS, "settled", *map(ast.Constant, tests))
    return ast.copy_location(ast.Expr(made), node)


def cell(name: ast.Name) -> ast.expr:
    """A function that has the variable in its closure, which is the way to its cell."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    return ast.Lambda(nothing, ast.Name(name.id, ast.Load()))


def key(node: ast.expr) -> ast.expr:
    """What stands between the brackets of ``a[…]``, as a value."""
    if isinstance(node, ast.Slice):
        bounds = [bound or ast.Constant(None) for bound in (node.lower, node.upper, node.step)]
        return ast.copy_location(ast.Call(operation(CONTAINERS, "slice"), bounds, []), node)
    if isinstance(node, ast.Tuple):
        node.elts = [
            ast.Starred(element.value, ast.Load())
            if isinstance(element, ast.Starred)
            else key(element)
            for element in node.elts
        ]
    return node


def in_place_function(operator: ast.operator) -> str:
    """The name of the function of ``operator`` that does it in place."""
    names = {
        "Add": "iadd", "Sub": "isub", "Mult": "imul", "Div": "itruediv", "FloorDiv": "ifloordiv",
        "Mod": "imod", "Pow": "ipow", "LShift": "ilshift", "RShift": "irshift", "BitOr": "ior",
        "BitXor": "ixor", "BitAnd": "iand", "MatMult": "imatmul",
    }  # fmt: skip
    return names[type(operator).__name__]
