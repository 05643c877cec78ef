"""Rewrites Python source so that it tells the probe which shared objects it uses, and how.

The program stays the same, with the same lines; but ``a.b`` becomes a call of the probe, which
reads the attribute and notes it. So do ``a[i]``, calls, loops, ``in``, tests of truth, and every
kind of assignment. What cannot be told from the source, whether an object is shared at all, is
decided when the code runs. Locals are nobody else's business and are left alone; but the probe is
told what the values of those come from that are tested, and from where to where a test decides.

Only functions are rewritten, and imports, which the probe is told of. What else a module or class does
as it is made comes before all calls.
"""

from __future__ import annotations

import ast
from typing import Any

from .operations import (  # isort: skip
    CALLS, CONTAINERS, DECISIONS, VARIABLES, attribute, call, called, cell, compared, delegated,
    imported, imports, in_place_function, item, iterated, mark, matched, operand, operated, settled, statement, tested,
    took, took_value, whole,
)  # fmt: skip
from .symbols import Scope, Symbols
from .syntax import is_place, leaves, loaded_names, looks_at_its_caller, stored_names

#: What is looked at outside of functions.
_MAKES_FUNCTIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def rewrite(source: str | bytes, path: str, module: str) -> ast.Module:
    """The rewritten syntax tree of a module, ready to compile. Raises ``SyntaxError``."""
    tree = ast.parse(source, path)
    rebound = {
        name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
    }
    rewritten: ast.Module = _Rewriter(module, rebound).visit(tree)
    return ast.fix_missing_locations(rewritten)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, module: str, rebound: set[str]) -> None:
        self._module = module
        self._symbols = Symbols(rebound)
        #: What is read by a statement that assigns to the same place.
        self._augmented: set[ast.AST] = set()
        self._tests = 0
        #: The tests of the current block whose lines go on to its end.
        self._undone: list[str] = []

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return imports(node, self._module)
        if self._symbols.function is None and not isinstance(node, _MAKES_FUNCTIONS):
            visited: Any = self.generic_visit(node)
        else:
            visited = super().visit(node)
        return imported(node, visited, self._module) if isinstance(node, ast.Call) else visited

    # -- scopes -----------------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        with self._symbols.inside(Scope(node.name, is_class=True)):
            self.generic_visit(node)
        return node

    def visit_FunctionDef(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> ast.AST | list[ast.stmt]:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.args = self.visit(node.args)
        undone, self._undone = self._undone, []
        with self._symbols.inside(Scope.of(node)):
            node.body = self._block(node.body)
        self._undone = undone
        if self._symbols.function is None:
            return node
        return [node, statement(node, VARIABLES, "captured", ast.Name(node.name, ast.Load()))]

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        with self._symbols.inside(Scope.of(node)):
            self.generic_visit(node)
        return node if self._symbols.function is None else call(node, VARIABLES, "captured", node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node  # annotations stay

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | list[ast.stmt]:
        node.target = self.visit(node.target)
        if node.value is not None:
            node.value = self.visit(node.value)
        if isinstance(node.target, ast.Call | ast.Attribute) and node.value is not None:
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        return node  # a pattern, not an expression

    visit_MatchClass = visit_MatchMapping = visit_MatchValue  # type: ignore[assignment]

    # -- names ------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if not isinstance(node.ctx, ast.Load):
            return node
        if self._symbols.is_global(node.id):
            return call(node, VARIABLES, "read_global", ast.Constant(self._module), ast.Constant(node.id), node, *self._flag(node))  # fmt: skip
        if self._symbols.is_rebound_cell(node.id):
            return call(node, VARIABLES, "read_cell", cell(node), ast.Constant(node.id), node, *self._flag(node))  # fmt: skip
        if self._symbols.is_free(node.id):
            return call(node, VARIABLES, "free", ast.Constant(node.id), node)
        return node

    def _written(self, node: ast.stmt, targets: list[ast.expr]) -> list[ast.stmt]:
        """Statements that tell of the assignment of names that are not local."""
        told: list[ast.stmt] = []
        for target in targets:
            for name in stored_names(target):
                load = ast.Name(name, ast.Load())
                made = None
                if self._symbols.is_global(name):
                    made = call(node, VARIABLES, "wrote_global", ast.Constant(self._module), ast.Constant(name), load)  # fmt: skip
                elif self._symbols.is_rebound_cell(name):
                    made = call(node, VARIABLES, "wrote_cell", cell(load), ast.Constant(name), load)
                if made is not None:
                    told.append(ast.copy_location(ast.Expr(made), node))
        return told

    # -- statements -------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for new in map(self.visit, body):
            done.extend(new if isinstance(new, list) else [new])
        return done

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        told = self._written(node, node.targets)
        target = node.targets[0]
        if isinstance(target, ast.Attribute | ast.Subscript):
            place = ast.unparse(target)
            self._augmented.update(n for n in ast.walk(node.value) if is_place(n, place))
        names = [name for target in node.targets for name in stored_names(target)]
        sources = loaded_names(node.value)
        self.generic_visit(node)
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            node.value = whole(node.value)
        node.value = self._named(node.value, names, sources)
        return [node, *told] if told else node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        sources = loaded_names(node.value)
        self.generic_visit(node)
        node.value = self._named(node.value, [node.target.id], sources)
        return node

    def _named(self, value: ast.expr, names: list[str], sources: list[str]) -> ast.expr:
        """The value of local variables; for those that are tested, the probe is told where from."""
        for name in self._tested(names):
            if not isinstance(value, ast.Constant):
                others = map(self._local, self._tested(sources))
                value = call(value, DECISIONS, "named", self._local(name), mark(), value, *others)
        return value

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.stmt]:
        told = self._written(node, [node.target])
        value = operand(self.visit(node.value))
        if isinstance(node.target, ast.Name):
            # the old value may be a shared container, which changes in place
            old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            self._augmented.add(old)
            old = self.visit(old)
            changed = call(
                node, CONTAINERS, "in_place", ast.Constant(in_place_function(node.op)), old, value
            )
            return [ast.copy_location(ast.Assign([node.target], changed), node), *told]
        target = self.visit(node.target)
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Call):
            target.attr = "in_place"
        node.target, node.value = target, value
        return node

    def visit_For(self, node: ast.For | ast.AsyncFor) -> ast.AST | list[ast.stmt]:
        told = self._written(node, [node.target])
        if isinstance(node, ast.For):
            node.iter = iterated(self.visit(node.iter))
        else:
            node.iter = self.visit(node.iter)
        node.target = self.visit(node.target)
        undone, self._undone = self._undone, []
        node.body = told + self._block(node.body)
        node.orelse = self._block(node.orelse)
        undone, self._undone = self._undone, undone
        return [node, settled(node, undone)] if undone else node

    visit_AsyncFor = visit_For

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        if not node.is_async:
            node.iter = iterated(node.iter)
        node.ifs = [tested(test) for test in node.ifs]
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        self.generic_visit(node)
        node.value = delegated(node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = self._new_test()
        node.test = self._decided(test, node.test)
        node.body = [took(node, test), *self._block(node.body)]
        node.orelse = self._block(node.orelse)
        if leaves(node.body) or leaves(node.orelse):
            self._undone.append(test)  # whatever follows depends on it
            return node
        return [node, settled(node, [test])]

    def visit_While(self, node: ast.While) -> ast.AST | list[ast.stmt]:
        test = self._new_test()
        node.test = self._decided(test, node.test)
        undone, self._undone = self._undone, []
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        undone, self._undone = self._undone, undone
        return [node, settled(node, [test, *undone])]

    def visit_Match(self, node: ast.Match) -> ast.AST:
        self.generic_visit(node)
        node.subject = matched(node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        node.test = self._decided(None, node.test)
        node.body = took_value(self.visit(node.body), self._new_test())
        node.orelse = self.visit(node.orelse)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.type = node.type and self.visit(node.type)
        node.body = [took(node, self._new_test()), *self._block(node.body)]
        return node

    def _new_test(self) -> str:
        self._tests += 1
        return f"{self._module} {self._tests}"

    def _decided(self, test: str | None, node: ast.expr) -> ast.expr:
        """A test by which it is decided how the call goes on."""
        if isinstance(node, ast.Constant):
            return node
        names = map(self._local, self._tested(loaded_names(node)))
        value = self.visit(node)
        return call(node, DECISIONS, "decided", ast.Constant(test), mark(), value, *names)

    def _tested(self, names: list[str]) -> list[str]:
        """Those of the variables by which the function decides how it goes on."""
        scope = self._symbols.function
        assert scope is not None
        return [name for name in names if name in scope.tested]

    def _local(self, name: str) -> ast.expr:
        scope = self._symbols.function
        assert scope is not None
        return ast.Constant(f"{self._module} {scope.name} {name}")

    def _flag(self, node: ast.AST) -> list[ast.expr]:
        return [ast.Constant(True)] if node in self._augmented else []

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = tested(node.operand)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        first, *others = [tested(value) for value in node.values]
        node.values = [first, *(took_value(value, self._new_test()) for value in others)]
        return node

    def visit_With(self, node: ast.With | ast.AsyncWith) -> ast.AST:
        undone, self._undone = self._undone, []
        node.items = [self.visit(item) for item in node.items]
        node.body = self._block(node.body)
        if self._undone and not leaves(node.body):
            node.body.append(settled(node, self._undone))
        self._undone = undone
        if isinstance(node, ast.With):
            for item in node.items:
                item.context_expr = call(item.context_expr, CALLS, "enter", item.context_expr)
        return node

    visit_AsyncWith = visit_With

    # -- expressions ------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return attribute(node, self._symbols.mangle(node.attr), self._flag(node))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return item(node, self._flag(node))

    def visit_Starred(self, node: ast.Starred | ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node, ast.Starred) or isinstance(node.ctx, ast.Load):
            node.value = whole(node.value)
        return node

    visit_FormattedValue = visit_Starred

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        pairs = zip(node.keys, node.values, strict=True)
        node.values = [whole(value) if key is None else value for key, value in pairs]
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        node.value = whole(node.value) if node.arg is None else node.value
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        return compared(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return operated(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if looks_at_its_caller(node):
            if isinstance(node.func, ast.Attribute):
                node.func = self.visit(node.func)
            node.args = [self.visit(argument) for argument in node.args]
            node.keywords = [self.visit(keyword) for keyword in node.keywords]
            return node
        self.generic_visit(node)
        return called(node)
