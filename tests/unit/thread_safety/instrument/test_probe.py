"""What rewritten code tells of shared objects of every kind."""

from __future__ import annotations

import pytest

from bridge.gil import is_enabled

from ..race_program import checked

#: What two threads do without a lock, and the variables that must be found.
RACES = {
    "attribute": ("class A: pass\na = A(); a.n = 0", "a.n += 1", "a.n"),
    "attribute deleted": ("class A: pass\na = A()", "a.n = 1\ndel a.n", "a.n"),
    "slots": ("class A:\n    __slots__ = 'n'\na = A(); a.n = 0", "a.n += 1", "a.n"),
    "private": ("class A:\n    def __init__(self):\n        self.__n = 0\n    def up(self):\n        self.__n += 1\na = A()", "a.up()", "a._A__n"),
    "property": ("class A:\n    _n = 0\n    @property\n    def n(self):\n        return self._n\n    @n.setter\n    def n(self, v):\n        self._n = v\na = A()", "a.n += 1", "a._n"),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 0\na = A()", "a.n += 1", "a.n"),
    "class attribute": ("class A:\n    n = 0", "A.n += 1", "A.n"),
    "getattr, setattr": ("class A: pass\na = A(); a.n = 0", "setattr(a, 'n', getattr(a, 'n') + 1)", "a.n"),
    "object.__setattr__": ("class A: pass\na = A(); a.n = 0", "object.__setattr__(a, 'n', a.n + 1)", "a.n"),
    "vars": ("class A: pass\na = A(); a.n = 0", "vars(a)['n'] += 1", "a.n"),
    "__dict__": ("class A: pass\na = A(); a.n = 0", "a.__dict__.update(n=a.n + 1)", "a.n"),
    "namespace": ("from types import SimpleNamespace\na = SimpleNamespace(n=0)", "a.n += 1", "a.n"),
    "reached": ("class A: pass\na = A(); a.b = [A()]; a.b[0].n = 0", "a.b[0].n += 1", "a.b[0].n"),
    "global": ("n = 0", "global n\nn += 1", "n"),
    "globals()": ("n = 0", "globals()['n'] += 1", "n"),
    "function attribute": ("def g(): pass\ng.n = 0", "g.n += 1", "g.n"),
    "closure": ("def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    return up\nup = make()", "up()", "make.up.n"),
    "default argument": ("def g(seen=[]):\n    if not seen:\n        seen.append(1)\n        seen.pop()", "g()", "g(seen)"),
    "dict item": ("d = {'a': 0}", "d['a'] += 1", "d['a']"),
    "dict get": ("d = {}", "d['a'] = d.get('a', 0) + 1", "d['a']"),
    "dict check": ("d = {}", "if 'a' not in d:\n    d['a'] = 1\ndel d['a']", "d['a']"),
    "defaultdict": ("from collections import defaultdict\nd = defaultdict(int)", "d['a'] += 1", "d['a']"),
    "Counter": ("from collections import Counter\nd = Counter()", "d.update(['a'])", "d['a']"),
    "ChainMap": ("from collections import ChainMap\nd = ChainMap({'a': 0})", "d['a'] += 1", "d['a']"),
    "list item": ("xs = [0]", "xs[0] += 1", "xs[0]"),
    "list check": ("xs = [1, 2]", "if xs:\n    xs.pop()", "xs"),
    "list sort": ("xs = [2, 1]", "xs.sort()\nxs[0]", "xs"),
    "list slice": ("xs = [2, 1]", "xs[:1] = [3]", "xs"),
    "list loop": ("xs = [2, 1]", "for x in xs: pass\nxs.append(1)", "xs"),
    "comprehension": ("xs = [2, 1]", "[x for x in xs]\nxs.append(1)", "xs"),
    "passed to a function": ("xs = [2, 1]", "sum(xs)\nxs.append(1)", "xs"),
    "dict view": ("d = {1: 2}", "for x in d.values(): pass\nd[len(d) + 5] = 1", "d"),
    "set": ("s = set()", "if 1 not in s:\n    s.add(1)\ns.discard(1)", "s[1]"),
    "deque": ("from collections import deque\nq = deque([1])", "q.rotate(1)", "q"),
    "heap": ("import heapq\nh = []", "heapq.heappush(h, 1)", "h"),
    "bytearray": ("b = bytearray(4)", "b[0] += 1", "b[0]"),
    "memoryview": ("b = bytearray(4)", "v = memoryview(b)\nv[:] = b'1234'", "b"),
    "array": ("from array import array\na = array('i', [0])", "a[0] += 1", "a[0]"),
    "numpy": ("import numpy as np\na = np.zeros(3)", "global a\na += 1", "a"),
    "numpy row": ("import numpy as np\na = np.zeros((3, 3))", "a[1] += 1", "a[1]"),
    "numpy view": ("import numpy as np\na = np.zeros(3)\nv = a[1:]", "v[:] = 1", "a"),
    "numpy out": ("import numpy as np\na = np.zeros(3)", "np.add(1, 2, out=a)", "a"),
    "numpy method": ("import numpy as np\na = np.zeros(3)", "a.fill(1)", "a"),
    "generator": ("g = (x for x in range(9))", "next(g)", "g"),
    "generator loop": ("g = (x for x in range(9))", "for x in g: break", "g"),
    "StringIO": ("import io\ns = io.StringIO()", "s.write('x')", "s"),
    "hash": ("import hashlib\nh = hashlib.sha256()", "h.update(b'x')", "h"),
    "lru_cache": ("import functools\n@functools.lru_cache\ndef g():\n    return [0]\n", "x = g()\nx[0] += 1", "g[0]"),
    "partial": ("from functools import partial\ndef up(d):\n    d['n'] += 1\nd = {'n': 0}\ng = partial(up, d)", "g()", "d['n']"),
    "methodcaller": ("import operator\nclass A:\n    n = 0\n    def up(self):\n        self.n += 1\na = A()", "operator.methodcaller('up')(a)", "a.n"),
}  # fmt: skip
#: What two threads may do without a lock.
ATOMIC = {
    "append and copy": ("xs = []", "xs.append(1)\nlist(xs)\nlen(xs)"),
    "pop alone": ("xs = [1, 2, 3]", "xs.pop()"),
    "setdefault": ("d = {}", "d.setdefault('a', [])"),
    "check and setdefault": ("d = {}", "if 'a' not in d:\n    d.setdefault('a', 1)"),
    "pop with a default": ("d = {'a': 1}", "d.pop('a', None)"),
    "deque": ("from collections import deque\nq = deque([1, 2])", "q.append(1)\nq.popleft()"),
    "count": ("import itertools\nc = itertools.count()", "next(c)"),
    "reading": ("class A: pass\na = A(); a.b = {'x': [1]}", "a.b['x'][0]\nfor x in a.b: pass"),
    "own objects": ("class A: pass", "a = A()\na.n = 0\na.n += 1\nxs = [a]\nxs.sort(key=id)"),
    "own rows": ("import itertools\nc = itertools.count()\nrows = [0, 0]", "i = next(c)\nrows[i] += 1"),
    "thread-local": ("import threading\nhere = threading.local()", "here.n = getattr(here, 'n', 0) + 1"),
    "context variable": ("import contextvars\nv = contextvars.ContextVar('v')", "v.set([])\nv.get().append(1)"),
    "snapshot swapped under a lock": ("import threading\nlock = threading.Lock()\nt = ()", "global t\nwith lock:\n    t = (*t, 1)\nwith lock:\n    s = t\nfor x in s: pass"),
}  # fmt: skip


def body(code):
    return "\ndef work():\n" + "".join(f"    {line}\n" for line in code.splitlines())


@pytest.mark.parametrize("name", RACES)
def test_a_race_is_found_and_named(name, tmp_path):
    setup, code, variable = RACES[name]
    with checked(setup + body(code), tmp_path) as program:
        program.call("work", "work", "work")
    assert variable in program.found


@pytest.mark.parametrize("name", RACES)
def test_one_lock_over_all_of_it_is_enough(name, tmp_path):
    setup, code, _ = RACES[name]
    scope = (
        "global n\n" if code.startswith("global n") else "global a\n" if "global a" in code else ""
    )
    inner = code.removeprefix(scope)
    guarded = scope + "with lock:\n" + "".join(f"    {line}\n" for line in inner.splitlines())
    source = "import threading\nlock = threading.Lock()\n" + setup + body(guarded)
    with checked(source, tmp_path) as program:
        program.call("work", "work")
    assert program.found == []


@pytest.mark.parametrize("name", ATOMIC)
def test_what_is_atomic_or_not_shared_is_no_race(name, tmp_path):
    setup, code = ATOMIC[name]
    with checked(setup + body(code), tmp_path) as program:
        program.call("work", "work")
    assert program.found == []


def test_both_lines_are_named(tmp_path):
    source = "n = 0\ndef write():\n    global n\n    n = 1\ndef read():\n    return n\n"
    with checked(source, tmp_path) as program:
        program.call("write", "read")
    (finding,) = program.checker.notes
    assert [access.stack[0][1] for access in (finding.first, finding.second)] == [4, 6]
    assert finding.first.stack[0][0] == program.module.__file__


def test_the_result_of_a_call_is_read_after_its_locks_are_free(tmp_path):
    source = """
        import threading
        lock, words = threading.Lock(), []
        def leak():
            with lock:
                return words
        def add():
            with lock:
                words.append(1)
    """
    with checked(source, tmp_path) as program:
        program.call("leak", "add")
    assert program.found == ["words"]


def test_what_was_taken_out_belongs_to_the_one_who_took_it(tmp_path):
    source = """
        idle = [{"n": 0}]
        def work():
            mine = idle.pop()
            mine["n"] += 1
            idle.append(mine)
    """
    with checked(source, tmp_path) as program:
        program.call("work", "work", "work")
    assert program.found == []


@pytest.mark.parametrize("mended", [False, True])
def test_two_locked_steps_are_not_one(tmp_path, mended):
    source = f"""
        import threading
        class Shop:
            def __init__(self):
                self.lock, self.stock = threading.RLock(), 5
            def has(self):
                with self.lock:
                    return self.stock > 0
            def take(self):
                with self.lock:
                    self.stock -= 1
        shop = Shop()
        def buy():
            with {"shop.lock" if mended else "threading.Lock()"}:
                if not shop.has():
                    return False
                shop.take()
                return True
    """
    with checked(source, tmp_path) as program:
        assert program.call("buy", "buy") == [True, True]
    assert program.found == ([] if mended else ["shop.stock"])


def test_exceptions_pass_through(tmp_path):
    source = """
        d = {}
        class A: pass
        a = A()
        def item():
            return d["missing"]
        def attribute():
            return a.missing
        def deleted():
            del d["missing"]
        def default():
            return getattr(a, "missing", 5)
    """
    with checked(source, tmp_path) as program:
        for name, kind in (
            ("item", KeyError),
            ("attribute", AttributeError),
            ("deleted", KeyError),
        ):
            with pytest.raises(kind, match="missing"):
                program.call(name)
        assert program.call("default") == [5]


def test_functions_that_calls_make_do_not_live_for_ever(tmp_path):
    source = """
        import functools, weakref
        def work():
            made = []
            for _ in range(2500):
                function = functools.partial(int)
                function()
                made.append(weakref.ref(function))
            return sum(each() is not None for each in made)
    """
    with checked(source, tmp_path) as program:
        (alive,) = program.call("work")
    assert alive <= 1000


def test_a_reference_whose_object_is_gone_can_be_called(tmp_path):
    source = """
        import weakref
        class A: pass
        def work():
            return weakref.ref(A())()
    """
    with checked(source, tmp_path) as program:
        assert program.call("work") == [None]


@pytest.mark.parametrize("copy", ["list(d)", "sum(tuple(d))", "d.copy()"])
def test_a_deque_is_copied_in_one_step_only_under_the_gil(tmp_path, copy):
    source = f"""
        import collections
        d = collections.deque([1, 2], maxlen=2)
        def add():
            d.append(3)
        def copy():
            {copy}
    """
    with checked(source, tmp_path) as program:
        program.call("add", "copy")
        assert program.found == ([] if is_enabled() else ["d"])
