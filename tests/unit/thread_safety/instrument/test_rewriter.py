"""The rewritten program does what the program did, line for line."""

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path

import pytest

from bridge.thread_safety.detector import Detector
from bridge.thread_safety.instrument import Probe
from bridge.thread_safety.instrument.operations import NAMES
from bridge.thread_safety.instrument.rewriter import rewrite
from bridge.thread_safety.libraries import Libraries, Rules

STDLIB = Path(asyncio.__file__).parent.parent
MODULES = ["ast", "argparse", "dataclasses", "enum", "functools", "heapq", "inspect", "typing",
           "textwrap", "asyncio/tasks", "concurrent/futures/thread", "unittest/mock", "statistics",
           "contextlib", "collections/__init__", "fractions", "json/decoder", "traceback"]  # fmt: skip

SNIPPETS = {
    "walrus": "def f(xs):\n    return [y for x in xs if (y := x * 2) > 2]\nr = f([1, 2, 3])",
    "star": "def f(a, /, b, *rest, c=1, **more):\n    return a, b, rest, c, more\n"
    "def g():\n    return f(1, *[2, 3], c=4, **{'d': 5})\nr = g()",
    "mangling": "class A:\n    __x = 1\n    def f(self):\n        self.__x += 1\n        return self.__x\n"
    "class _B(A):\n    def g(self):\n        return self.f(), self._A__x\nr = _B().g()",
    "super": "class A:\n    def f(self):\n        return 1\nclass B(A):\n    def f(self):\n"
    "        return super().f() + (lambda: __class__.__name__ == 'B')()\nr = B().f()",
    "nonlocal": "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n        return n\n"
    "    g()\n    return g(), n\nr = f()",
    "global": "n = 0\ndef f():\n    global n\n    n += 1\n    del n\n    n = 5\n    return n\nr = f(), n",
    "match": "def f(x):\n    match x:\n        case {'a': [1, *rest], **more}:\n            return rest, more\n"
    "        case str() | bytes():\n            return 'text'\n        case _ if x:\n            return x\n"
    "r = f({'a': [1, 2], 'b': 3}), f('x'), f(7), f(0)",
    "except_star": "def f():\n    try:\n        raise ExceptionGroup('g', [ValueError(1), KeyError(2)])\n"
    "    except* ValueError as e:\n        a = len(e.exceptions)\n    except* KeyError:\n        b = 1\n    return a, b\nr = f()",
    "comprehensions": "def f(n):\n    d = {k: {v for v in range(k)} for k in range(n)}\n"
    "    return d, sum(x for x in d), [a for b in d.values() for a in b if a if b]\nr = f(4)",
    "async_comprehension": "import asyncio\nasync def g(n):\n    for i in range(n):\n        yield i\n"
    "async def f():\n    return [i async for i in g(3)], {i async for i in g(2) if i}, [await s() for s in [t, t]]\n"
    "async def t():\n    async with C() as c:\n        return c\nclass C:\n    async def __aenter__(self):\n        return 1\n"
    "    async def __aexit__(self, *e):\n        return None\nr = asyncio.run(f())",
    "fstrings": "def f(x, w):\n    return f'{x!r:>{w}}|{x=}|{x:0{w}d}'\nr = f(5, 4)",
    "slices": "def f(xs):\n    xs[1:3] = [9]\n    del xs[-1]\n    xs[0], *xs[1:2] = 7, 8\n    return xs, xs[::-1]\nr = f([1, 2, 3, 4])",
    "chains": "def f(a):\n    a.x = b = a.y = 3\n    a.x, a.y = a.y, a.x + 1\n    return 1 < a.x < a.y <= 4, b\n"
    "class A: pass\nr = f(A())",
    "augmented": "def f(d, xs):\n    d['a'] += 1\n    d['b'] -= 2\n    d['a'] **= 2\n    xs += [1]\n    xs *= 2\n    return d, xs\n"
    "r = f({'a': 1, 'b': 2}, [0])",
    "once": "calls = []\ndef k(x):\n    calls.append(x)\n    return x\n"
    "def f(d):\n    d[k('a')] += k(1)\n    if k(True) and not k(False):\n        return d\nr = f({'a': 1}), calls",
    "generators": "def g(n):\n    got = yield 1\n    try:\n        yield from range(n)\n    finally:\n        return got\n"
    "def f():\n    i = g(2)\n    next(i)\n    out = [i.send('x')]\n    while True:\n        try:\n            out.append(next(i))\n"
    "        except StopIteration as stop:\n            return out, stop.value\nr = f()",
    "loops": "def f():\n    for i in range(3):\n        if i == 1:\n            continue\n    else:\n        i = 9\n    while i:\n        i -= 1\n"
    "        if i == 4:\n            break\n    else:\n        i = -1\n    return i\nr = f()",
    "dataclass": "from dataclasses import dataclass, field\nfrom typing import NamedTuple, Protocol\nfrom enum import Enum\n"
    "@dataclass(slots=True, order=True)\nclass D:\n    a: int\n    b: list = field(default_factory=list)\n"
    "class N(NamedTuple):\n    a: int = 1\n    def f(self):\n        return self.a\nclass E(Enum):\n    X = 1\n    def f(self):\n        return self.name\n"
    "class P(Protocol):\n    def f(self) -> int: ...\nr = repr(D(1)), N().f(), E.X.f()",
    "class_scope": "x = 1\ndef f():\n    x = 2\n    class A:\n        y = x\n        x = 3\n        z = [x for _ in range(1)]\n        def g(self):\n            return x\n"
    "    return A.y, A.x, A.z, A().g()\n"
    "try:\n    r = f()\nexcept NameError as e:\n    r = str(e)",
    "closures": "def f():\n    return [g() for g in [lambda i=i: i for i in range(3)]]\nr = f()",
    "decorators": "def d(n):\n    def w(f):\n        return lambda *a: f(*a) + n\n    return w\n@d(1)\n@d(2)\ndef f(x):\n    return x\nr = f(3)",
    "with_many": "import contextlib\n@contextlib.contextmanager\ndef c(x):\n    yield x\n"
    "def f():\n    with c(1) as a, c(2) as (b):\n        return a, b\nr = f()",
    "try_finally": "def f():\n    try:\n        return 1\n    finally:\n        f.done = True\nr = f(), f.done",
    "eval": "def f(x):\n    y = 2\n    return eval('x + y'), sorted(locals()), 'f' in globals()\nr = f(1)",
    "caller": "from collections import namedtuple\ndef f():\n    return namedtuple('P', 'x').__module__, type('T', (), {}).__module__\nr = f()",
    "getattribute": "class A:\n    def __init__(self):\n        self.x = 1\n    def __getattribute__(self, n):\n        return object.__getattribute__(self, n)\n"
    "    def __getattr__(self, n):\n        return n\nr = A().x, A().y",
    "truth": "class T:\n    def __bool__(self):\n        return False\n    def __len__(self):\n        return 3\n"
    "def f(t):\n    return (1 if t else 2), not t, (t and 1) is t, [x for x in [1] if t]\nr = f(T())",
    "deep": "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nr = f(150)",
    "docstring": "def f():\n    'text'\n    if True:\n        pass\nr = f.__doc__",
}  # fmt: skip
NEWER = {
    (
        3,
        12,
    ): "class A[T]:\n    def f[U: int](self, x: U) -> U:\n        return x\ntype L[T] = list[T]\n"
    'def f(d):\n    return f"{d["a"]}"\nr = A().f(1), f({\'a\': 1})',
}


def run(tree, name="snippet"):
    module = types.ModuleType(name)
    own = {name}
    Probe(Detector(lambda finding: None), own.__contains__, Rules(Libraries())).install(module)
    sys.modules[name] = module
    try:
        exec(compile(tree, "snippet.py", "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules[name]
    return module


# from Python 3.14 on
@pytest.mark.filterwarnings("ignore:'return' in a 'finally' block:SyntaxWarning")
@pytest.mark.parametrize("name", SNIPPETS)
def test_a_rewritten_program_does_the_same(name):
    source = SNIPPETS[name]
    assert repr(run(rewrite(source, "snippet.py", "snippet")).r) == repr(run(source).r)


@pytest.mark.parametrize("version", NEWER)
def test_a_rewritten_program_of_newer_syntax_does_the_same(version):
    if sys.version_info < version:
        pytest.skip(f"syntax of Python {version[0]}.{version[1]}")
    source = NEWER[version]
    assert repr(run(rewrite(source, "snippet.py", "snippet")).r) == repr(run(source).r)


@pytest.mark.parametrize("name", MODULES)
def test_rewritten_modules_of_the_standard_library_compile(name):
    path = STDLIB / f"{name}.py"
    compile(rewrite(path.read_bytes(), str(path), name), str(path), "exec", dont_inherit=True)


def test_a_rewritten_module_of_the_standard_library_works():
    source = (STDLIB / "heapq.py").read_text().partition("# If available, use C")[0]
    heapq = run(rewrite(source, "heapq.py", "heapq2"), "heapq2")
    heap = []
    for item in (5, 3, 8, 1):
        heapq.heappush(heap, item)
    assert [heapq.heappop(heap) for _ in range(4)] == [1, 3, 5, 8]
    assert heapq.nsmallest(2, [3, 1, 2]) == [1, 2]
    assert list(heapq.merge([1, 3], [2])) == [1, 2, 3]


def test_lines_stay():
    source = "def f(a):\n    a.x = 1\n    if a.x:\n\n        return a.missing\n"
    with pytest.raises(AttributeError) as caught:
        run(rewrite(source, "snippet.py", "snippet")).f(types.SimpleNamespace())
    lines = [entry.lineno for entry in caught.traceback if str(entry.path).endswith("snippet.py")]
    assert [line + 1 for line in lines] == [5]


def test_modules_and_classes_are_left_as_they_are():
    source = "from __future__ import annotations\nx = [1]\nclass A:\n    y = x[0]\n    if y:\n        z = y.copy()\n"
    assert not ast_names(rewrite(source, "m.py", "m")) & set(NAMES)
    assert ast_names(rewrite("f = lambda x: x.y", "m.py", "m")) & set(NAMES)
    assert ast_names(rewrite("import sys", "m.py", "m")) & set(NAMES)


def ast_names(tree):
    import ast

    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_what_is_no_python_is_refused():
    with pytest.raises(SyntaxError):
        rewrite("def", "m.py", "m")
