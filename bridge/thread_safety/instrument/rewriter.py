"""Rewrites Python source so that it tells the probe which shared objects it uses, and how.

The program stays the same, with the same lines; but ``a.b`` becomes a call of the probe, which
reads the attribute and notes it. So do ``a[i]``, calls, loops, ``in``, tests of truth, and every
kind of assignment. What cannot be told from the source, whether an object is shared at all, is
decided when the code runs. Locals are nobody else's business and are left alone; but the probe is
told what the values of those come from that are tested, and from where to where a test decides.

Only functions are rewritten. What a module or class does as it is made comes before all calls.
"""

from __future__ import annotations

import ast

from .symbols import Scope, loaded_names, stored_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The name under which rewritten code finds the probe.
PROBE = "__bridge_probe__"
#: Functions that look at the frame they are called from.
_FRAME_FUNCTIONS = frozenset(
    ["super", "locals", "globals", "eval", "exec", "dir", "breakpoint", "__import__", "_getframe",
     "currentframe", "stack", "extract_stack", "format_stack", "print_stack", "warn", "namedtuple",
     "NamedTuple", "TypedDict", "NewType", "TypeVar", "ParamSpec", "make_dataclass"]
)  # fmt: skip
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
        #: Names of the module that some function assigns to.
        self._rebound = rebound
        #: What is read by a statement that assigns to the same place.
        self._augmented: set[ast.AST] = set()
        self._class: list[str] = []
        #: For each function that we are in: its names that belong to the module, those of
        #: functions around it, and its own.
        self._scopes: list[Scope] = []
        self._tests = 0
        #: The tests of the current block whose lines go on to its end.
        self._undone: list[str] = []

    def visit(self, node: ast.AST) -> Any:
        if self._function() is None and not isinstance(node, _MAKES_FUNCTIONS):
            return self.generic_visit(node)
        return super().visit(node)

    # -- scopes -----------------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._class.append(node.name)
        scopes, self._scopes = self._scopes, [*self._scopes, Scope(is_class=True)]
        self.generic_visit(node)
        self._scopes = scopes
        self._class.pop()
        return node

    def visit_FunctionDef(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> ast.AST | list[ast.stmt]:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.args = self.visit(node.args)
        scope = Scope.of(node)
        self._scopes.append(scope)
        undone, self._undone = self._undone, []
        node.body = self._block(node.body)
        self._undone = undone
        self._scopes.pop()
        if self._function() is None:
            return node
        captured = self._call(node, "captured", ast.Name(node.name, ast.Load()))
        return [node, ast.copy_location(ast.Expr(captured), node)]

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._scopes.append(Scope.of(node))
        self.generic_visit(node)
        self._scopes.pop()
        return node if self._function() is None else self._call(node, "captured", node)

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
        if not isinstance(node.ctx, ast.Load) or not self._scopes:
            return node
        if self._is_global(node.id):
            return self._call(node, "read_global", ast.Constant(self._module), ast.Constant(node.id), node, *self._flag(node))  # fmt: skip
        if self._is_rebound_cell(node.id):
            return self._call(node, "read_cell", _cell(node), ast.Constant(node.id), node, *self._flag(node))  # fmt: skip
        if self._is_free(node.id):
            return self._call(node, "free", ast.Constant(node.id), node)
        return node

    def _function(self) -> Scope | None:
        scope = self._scopes[-1] if self._scopes else None
        return None if scope is None or scope.is_class else scope

    def _is_global(self, name: str) -> bool:
        if name not in self._rebound:
            return False
        for scope in reversed(self._scopes):
            if name in scope.globals:
                return True
            if not scope.is_class and name in scope.locals:
                return False
        return any(not scope.is_class for scope in self._scopes)

    def _is_free(self, name: str) -> bool:
        """Does the innermost function use a variable of a function around it?"""
        scope = self._function()
        if scope is None or name in scope.locals - scope.nonlocals or name in scope.globals:
            return False
        return any(not s.is_class and name in s.locals for s in self._scopes[:-1])

    def _is_rebound_cell(self, name: str) -> bool:
        """A variable of a function that an inner function assigns to (``nonlocal``)?"""
        for scope in reversed(self._scopes):
            if scope.is_class:
                continue
            if name in scope.nonlocals or name in scope.rebound_inside:
                return True
            if name in scope.locals or name in scope.globals:
                return False
        return False

    def _written(self, node: ast.stmt, targets: list[ast.expr]) -> list[ast.stmt]:
        """Statements that tell of the assignment of names that are not local."""
        told: list[ast.stmt] = []
        for target in targets:
            for name in stored_names(target):
                load = ast.Name(name, ast.Load())
                call = None
                if self._scopes and self._is_global(name):
                    call = self._call(node, "wrote_global", ast.Constant(self._module), ast.Constant(name), load)  # fmt: skip
                elif self._scopes and self._is_rebound_cell(name):
                    call = self._call(node, "wrote_cell", _cell(load), ast.Constant(name), load)
                if call is not None:
                    told.append(ast.copy_location(ast.Expr(call), node))
        return told

    # -- statements -------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            done.extend(new if isinstance(new, list) else [new])
        return done

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        told = self._written(node, node.targets)
        target = node.targets[0]
        if isinstance(target, ast.Attribute | ast.Subscript):
            place = ast.unparse(target)
            self._augmented.update(n for n in ast.walk(node.value) if _is_place(n, place))
        names = [name for target in node.targets for name in stored_names(target)]
        sources = loaded_names(node.value)
        self.generic_visit(node)
        node.value = self._named(node.value, names, sources)
        return [node, *told] if told else node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        sources = loaded_names(node.value)
        self.generic_visit(node)
        node.value = self._named(node.value, [node.target.id], sources)
        return node

    def _named(self, value: ast.expr, names: list[str], sources: list[str]) -> ast.expr:
        """The value of local variables; for those that are tested, the probe is told where from."""
        scope = self._function()
        assert scope is not None
        for name in names:
            if name in scope.tested and not isinstance(value, ast.Constant):
                others = [self._local(other) for other in sources if other in scope.tested]
                value = self._call(value, "named", self._local(name), self._mark(), value, *others)
        return value

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.stmt]:
        told = self._written(node, [node.target])
        value = self.visit(node.value)
        if isinstance(node.target, ast.Name):
            # the old value may be a shared container, which changes in place
            old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            self._augmented.add(old)
            old = self.visit(old)
            changed = self._call(node, "in_place", ast.Constant(_operator(node.op)), old, value)
            assign = ast.copy_location(ast.Assign([node.target], changed), node)
            return [assign, *told]
        target = self.visit(node.target)
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Call):
            target.attr = "in_place"
        node.target, node.value = target, value
        return node

    def visit_For(self, node: ast.For | ast.AsyncFor) -> ast.AST | list[ast.stmt]:
        told = self._written(node, [node.target])
        if isinstance(node, ast.For):
            node.iter = self._iterate(self.visit(node.iter))
        else:
            node.iter = self.visit(node.iter)
        node.target = self.visit(node.target)
        undone, self._undone = self._undone, []
        node.body = told + self._block(node.body)
        node.orelse = self._block(node.orelse)
        undone, self._undone = self._undone, undone
        return [node, self._settled(node, undone)] if undone else node

    visit_AsyncFor = visit_For

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        if not node.is_async:
            node.iter = self._iterate(node.iter)
        node.ifs = [self._test(test) for test in node.ifs]
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        self.generic_visit(node)
        node.value = self._iterate(node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = self._new_test()
        node.test = self._decided(test, node.test)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        if _leaves(node.body) or _leaves(node.orelse):
            self._undone.append(test)  # whatever follows depends on it
            return node
        return [node, self._settled(node, [test])]

    def visit_While(self, node: ast.While) -> ast.AST | list[ast.stmt]:
        test = self._new_test()
        node.test = self._decided(test, node.test)
        undone, self._undone = self._undone, []
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        undone, self._undone = self._undone, undone
        return [node, self._settled(node, [test, *undone])]

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        node.test = self._decided(None, node.test)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        return node

    def _new_test(self) -> str:
        self._tests += 1
        return f"{self._module} {self._tests}"

    def _decided(self, test: str | None, node: ast.expr) -> ast.expr:
        """A test by which it is decided how the call goes on."""
        if isinstance(node, ast.Constant):
            return node
        scope = self._function()
        assert scope is not None
        names = [self._local(name) for name in loaded_names(node) if name in scope.tested]
        value = self.visit(node)
        return self._call(node, "decided", ast.Constant(test), self._mark(), value, *names)

    def _settled(self, node: ast.AST, tests: list[str]) -> ast.stmt:
        call = self._call(node, "settled", *map(ast.Constant, tests))
        return ast.copy_location(ast.Expr(call), node)

    def _mark(self) -> ast.expr:
        return ast.Call(self._probe("mark"), [], [])

    def _local(self, name: str) -> ast.expr:
        scope = self._function()
        assert scope is not None
        return ast.Constant(f"{self._module} {scope.name} {name}")

    def _flag(self, node: ast.AST) -> list[ast.expr]:
        return [ast.Constant(True)] if node in self._augmented else []

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = self._test(node.operand)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [self._test(value) for value in node.values]
        return node

    def visit_With(self, node: ast.With | ast.AsyncWith) -> ast.AST:
        undone, self._undone = self._undone, []
        node.items = [self.visit(item) for item in node.items]
        node.body = self._block(node.body)
        if self._undone and not _leaves(node.body):
            node.body.append(self._settled(node, self._undone))
        self._undone = undone
        if isinstance(node, ast.With):
            for item in node.items:
                item.context_expr = self._call(item.context_expr, "enter", item.context_expr)
        return node

    visit_AsyncWith = visit_With

    # -- expressions ------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        name = ast.Constant(self._mangle(node.attr))
        if isinstance(node.ctx, ast.Load):
            return self._call(node, "get", node.value, name, *self._flag(node))
        place = self._call(node, "attribute", node.value, name)
        return ast.copy_location(ast.Attribute(place, "value", node.ctx), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = self._key(node.slice)
        if isinstance(node.ctx, ast.Load):
            return self._call(node, "item", node.value, key, *self._flag(node))
        place = self._call(node, "place", node.value, key)
        return ast.copy_location(ast.Attribute(place, "value", node.ctx), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = self._call(node, "contains", node.left, node.comparators[0])
            if isinstance(node.ops[0], ast.In):
                return found
            return ast.copy_location(ast.UnaryOp(ast.Not(), found), node)
        if not any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in node.ops):
            node.left = self._operand(node.left)
            node.comparators = [self._operand(value) for value in node.comparators]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        node.left, node.right = self._operand(node.left), self._operand(node.right)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _looks_at_its_caller(node):
            if isinstance(node.func, ast.Attribute):
                node.func = self.visit(node.func)
            node.args = [self.visit(argument) for argument in node.args]
            node.keywords = [self.visit(keyword) for keyword in node.keywords]
            return node
        self.generic_visit(node)
        probe = self._probe("call")
        return ast.copy_location(ast.Call(probe, [node.func, *node.args], node.keywords), node)

    # -- parts ------------------------------------------------------------------------------

    def _test(self, node: ast.expr) -> ast.expr:
        """A value whose truth is asked for: of a container, whether it is empty."""
        if isinstance(node, ast.Compare | ast.UnaryOp | ast.BoolOp | ast.Constant | ast.NamedExpr):
            return node
        return self._call(node, "test", node)

    def _operand(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant | ast.BinOp | ast.JoinedStr | ast.UnaryOp):
            return node
        return self._call(node, "operand", node)

    def _iterate(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Constant):
            return node
        return self._call(node, "iterate", node)

    def _key(self, node: ast.expr) -> ast.expr:
        """What stands between the brackets, as a value."""
        if isinstance(node, ast.Slice):
            bounds = [bound or ast.Constant(None) for bound in (node.lower, node.upper, node.step)]
            return ast.copy_location(ast.Call(self._probe("slice"), bounds, []), node)
        if isinstance(node, ast.Tuple):
            node.elts = [
                ast.Starred(element.value, ast.Load())
                if isinstance(element, ast.Starred)
                else self._key(element)
                for element in node.elts
            ]
        return node

    def _mangle(self, name: str) -> str:
        """A private name as the class has it: text is not mangled by the compiler."""
        if not self._class or not name.startswith("__") or name.endswith("__"):
            return name
        return f"_{self._class[-1].lstrip('_')}{name}"

    def _probe(self, method: str) -> ast.expr:
        return ast.Attribute(ast.Name(PROBE, ast.Load()), method, ast.Load())

    def _call(self, node: ast.AST, method: str, *arguments: ast.expr) -> ast.expr:
        call = ast.Call(self._probe(method), list(arguments), [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def _looks_at_its_caller(call: ast.Call) -> bool:
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
    if name == "type":
        return len(call.args) == 3  # a class made here belongs to the module
    return name in _FRAME_FUNCTIONS or (name == "vars" and not call.args)


def _is_place(node: ast.AST, place: str) -> bool:
    return isinstance(node, ast.Attribute | ast.Subscript) and ast.unparse(node) == place


def _leaves(body: list[ast.stmt]) -> bool:
    """Does a block never come to its end?"""
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _cell(name: ast.Name) -> ast.expr:
    """A function that has the variable in its closure, which is the way to its cell."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    return ast.Lambda(nothing, ast.Name(name.id, ast.Load()))


def _operator(operator: ast.operator) -> str:
    """The name of the function of ``operator`` that does it in place."""
    names = {
        "Add": "iadd", "Sub": "isub", "Mult": "imul", "Div": "itruediv", "FloorDiv": "ifloordiv",
        "Mod": "imod", "Pow": "ipow", "LShift": "ilshift", "RShift": "irshift", "BitOr": "ior",
        "BitXor": "ixor", "BitAnd": "iand", "MatMult": "imatmul",
    }  # fmt: skip
    return names[type(operator).__name__]
