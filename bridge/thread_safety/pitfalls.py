"""What can be said of an adapter's class without running it: the usual mistakes, from its source.

A hint, not a proof: the source does not say which code runs at the same time.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_BEFORE_CALLS = frozenset(["__init__", "setup", "close", "__new__", "__post_init__"])
_CONTAINERS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS = frozenset(["list", "dict", "set", "deque", "defaultdict", "OrderedDict", "Counter"])
_MUTATORS = frozenset(
    ["append", "extend", "insert", "remove", "pop", "clear", "update", "add", "discard",
     "setdefault", "popitem", "popleft", "appendleft", "sort", "reverse"]
)  # fmt: skip
_LOCK_WORDS = ("lock", "mutex", "condition", "semaphore", "guard")


def validate_adapter_thread_safety(adapter_class: type) -> bool:
    """Whether the class declares that its tools may run at the same time."""
    return bool(getattr(adapter_class, "__thread_safe__", False))


def require_thread_safe_adapter(function: Function) -> Function:
    """Decorator: the first argument must be an adapter that declares itself thread-safe.

    Raises:
        TypeError: in the call, if it does not.
    """

    @functools.wraps(function)
    def checked(adapter: Any, *args: Any, **kwargs: Any) -> Any:
        if not validate_adapter_thread_safety(type(adapter)):
            raise TypeError(
                f"{type(adapter).__name__} does not declare itself thread-safe: derive it from "
                "ThreadSafeAdapter, or set __thread_safe__ = True"
            )
        return function(adapter, *args, **kwargs)

    return checked  # type: ignore[return-value]


def check_common_pitfalls(adapter: Any) -> list[str]:
    """Look for the usual mistakes in the source of an adapter, without running it.

    That is: a missing declaration, mutable attributes of the class, ``+=`` and changes of
    containers outside of a ``with`` of something that is called a lock.

    Args:
        adapter: an instance or its class.

    Returns:
        Hints, a line each; none if there is nothing to say, or if the source is not there.
    """
    cls = adapter if isinstance(adapter, type) else type(adapter)
    hints = []
    if not validate_adapter_thread_safety(cls):
        hints.append(
            f"{cls.__name__} does not declare itself thread-safe: derive it from "
            "ThreadSafeAdapter, or set __thread_safe__ = True, once it is"
        )
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return hints
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    _, first = inspect.getsourcelines(cls)
    for node, hint in _class_attributes(tree):
        hints.append(f"{cls.__name__}, line {first + node.lineno - 1}: {hint}")
    for method in tree.body:
        if isinstance(method, ast.FunctionDef) and method.name not in _BEFORE_CALLS:
            for part, hint in _unlocked(method):
                where = f"{cls.__name__}.{method.name}, line {first + part.lineno - 1}"
                hints.append(f"{where}: {hint}")
    return hints


def _class_attributes(tree: ast.ClassDef) -> Iterator[tuple[ast.stmt, str]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        made = isinstance(value, ast.Call) and _last_name(value.func) in _MAKERS
        if isinstance(value, _CONTAINERS) or made:
            names = ", ".join(ast.unparse(target) for target in targets)
            if not names.startswith("__"):
                yield (
                    statement,
                    f"{names} belongs to the class: every instance and thread shares it",
                )


def _unlocked(method: ast.FunctionDef) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """Changes of what ``self`` leads to, outside of a ``with`` of a lock."""
    pending: list[ast.AST] = list(method.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.With) and any(_is_lock(item.context_expr) for item in node.items):
            continue
        if isinstance(node, ast.AugAssign) and _begins_with_self(node.target):
            yield node, f"{ast.unparse(node)} reads, then writes: another thread may come between"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _MUTATORS
            and isinstance(node.func.value, ast.Attribute | ast.Subscript)
            and _begins_with_self(node.func.value)
        ):
            yield node, f"{ast.unparse(node.func)}() changes a container without a lock"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _begins_with_self(target):
                    yield node, f"{ast.unparse(target)} = … changes a container without a lock"
        pending[:0] = ast.iter_child_nodes(node)


def _is_lock(node: ast.expr) -> bool:
    text = ast.unparse(node).lower()
    return any(word in text for word in _LOCK_WORDS)


def _begins_with_self(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
