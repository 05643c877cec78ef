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


def called(node: ast.Call) -> ast.expr:
    """A call, by way of the operation that does it."""
    made = ast.Call(operation(CALLS, "call"), [node.func, *node.args], node.keywords)
    return ast.copy_location(made, node)


def statement(node: ast.AST, holder: str, name: str, *arguments: ast.expr) -> ast.stmt:
    """A statement behind ``node`` that calls an operation."""
    return ast.copy_location(ast.Expr(call(node, holder, name, *arguments)), node)


def imports(node: ast.Import | ast.ImportFrom, module: str) -> ast.stmt | list[ast.stmt]:
    """An import, and a statement behind it that says what this module has imported."""
    names = [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level or node.module == "__future__":
            return node  # a relative one stays at home
        names = [f"{node.module}.{name}" for name in names]
    return [node, statement(node, CALLS, "imported", *map(ast.Constant, [module, *names]))]


def imported(node: ast.Call, visited: ast.expr, module: str) -> ast.expr:
    """``visited``, which the call became; of one of ``__import__`` with a name the probe is told, too."""
    if isinstance(node.func, ast.Name) and node.func.id == "__import__" and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant):
            return call(node, CALLS, "imported_module", visited, ast.Constant(module), name)
    return visited


def settled(node: ast.AST, tests: list[str]) -> ast.stmt:
    """A statement behind ``node`` that says that these tests decide nothing more."""
    return statement(node, DECISIONS, "settled", *map(ast.Constant, tests))


def attribute(node: ast.Attribute, name: str, flags: list[ast.expr]) -> ast.expr:
    """``a.b`` in any context; ``flags``: more arguments where it is read."""
    if isinstance(node.ctx, ast.Load):
        return call(node, VARIABLES, "get", node.value, ast.Constant(name), *flags)
    place = call(node, VARIABLES, "attribute", node.value, ast.Constant(name))
    return ast.copy_location(ast.Attribute(place, "value", node.ctx), node)


def item(node: ast.Subscript, flags: list[ast.expr]) -> ast.expr:
    """``a[i]`` in any context; ``flags``: more arguments where it is read."""
    index = key(node.slice)
    if isinstance(node.ctx, ast.Load):
        return call(node, CONTAINERS, "item", node.value, index, *flags)
    place = call(node, CONTAINERS, "place", node.value, index)
    return ast.copy_location(ast.Attribute(place, "value", node.ctx), node)


def compared(node: ast.Compare) -> ast.expr:
    """A comparison, of which ``in`` is one."""
    if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        found = call(node, CONTAINERS, "contains", node.left, node.comparators[0])
        if isinstance(node.ops[0], ast.In):
            return found
        return ast.copy_location(ast.UnaryOp(ast.Not(), found), node)
    if not any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in node.ops):
        node.left = operand(node.left, "compared")
        node.comparators = [operand(value, "compared") for value in node.comparators]
    return node


def took(node: ast.AST, branch: str) -> ast.stmt:
    """A statement at the place of ``node`` that says that a branch is taken."""
    return statement(node, DECISIONS, "took", ast.Constant(branch))


def took_value(node: ast.expr, branch: str) -> ast.expr:
    """A value that is only made on a branch."""
    if isinstance(node, ast.Constant | ast.Name):
        return node
    return call(node, DECISIONS, "took", ast.Constant(branch), node)


def tested(node: ast.expr) -> ast.expr:
    """A value whose truth is asked for: of a container, whether it is empty."""
    if isinstance(node, ast.Compare | ast.UnaryOp | ast.BoolOp | ast.Constant | ast.NamedExpr):
        return node
    return call(node, CONTAINERS, "test", node)


def operand(node: ast.expr, name: str = "operand") -> ast.expr:
    """A part of an expression with an operator."""
    if isinstance(node, ast.Constant | ast.BinOp | ast.JoinedStr | ast.UnaryOp):
        return node
    return call(node, CONTAINERS, name, node)


def matched(node: ast.Match) -> ast.expr:
    """The subject of a ``match``: all of it is read if patterns take it apart."""
    patterns = [pattern for case in node.cases for pattern in ast.walk(case.pattern)]
    fields = (
        [*each.patterns, *each.kwd_patterns]
        for each in patterns
        if isinstance(each, ast.MatchClass)
    )
    apart = any(isinstance(each, ast.MatchSequence | ast.MatchMapping) for each in patterns)
    if apart or any(len(each) > 1 for each in fields):
        return call(node.subject, CONTAINERS, "matched", node.subject)
    return node.subject


def operated(node: ast.BinOp) -> ast.expr:
    """An expression with an operator between two parts."""
    if isinstance(node.op, ast.Mod) and isinstance(node.right, ast.Tuple):
        # each becomes a part of a text
        node.right.elts = [
            each if isinstance(each, ast.Starred) else whole(each) for each in node.right.elts
        ]
    node.left, node.right = operand(node.left), operand(node.right)
    return node


def iterated(node: ast.expr) -> ast.expr:
    """What a loop walks through."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Constant):
        return node
    return call(node, CONTAINERS, "iterate", node)


def delegated(node: ast.expr) -> ast.expr:
    """What ``yield from`` walks through."""
    return call(node, CONTAINERS, "delegate", node)


def whole(node: ast.expr) -> ast.expr:
    """What is unpacked, or shown as a text: all of it is read."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Constant | ast.JoinedStr):
        return node
    return call(node, CONTAINERS, "whole", node)


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
