"""Programs that use much of the language, and of the library, on objects that threads share.

Each function gives the same, watched or not.
"""

# ruff: noqa
from __future__ import annotations

import asyncio
import collections
import copy
import functools
import os
import threading
import types
from collections import OrderedDict, defaultdict


class BadIter(list):
    def __iter__(self):
        raise RuntimeError("iter")


class BadGetattr:
    def __getattr__(self, name):
        raise RuntimeError(name)


class Box:
    pass


box = Box()
things = {}
lst = [1, 2, 3]
lock = threading.Lock()


def t_defaultdict():
    made = []
    d = box.dd = defaultdict(lambda: made.append(1) or [])
    d["a"].append(1)
    d["a"].append(2)
    "b" in d
    d.get("c")
    return len(made), dict(d)


def t_gen():
    def g():
        try:
            x = yield 1
            yield x
        finally:
            things["closed"] = 1

    a = box.g = g()
    r = [next(a), a.send(5)]
    a.close()

    def h():
        r = yield from g()
        return r

    b = box.h = h()
    r += [next(b), b.send(7)]
    try:
        b.throw(KeyError("k"))
    except KeyError as e:
        r.append(str(e))

    def k():
        try:
            yield 1
        except GeneratorExit:
            return

    c = box.k = k()
    next(c)
    c.close()
    for x in box.k:
        r.append(x)

    def w():
        v = yield from (i for i in range(3))
        return v

    r += list(w())
    return r


def t_gen_send_delegate():
    def inner():
        got = []
        while True:
            v = yield len(got)
            if v is None:
                return got
            got.append(v)

    shared = box.inner = inner()

    def outer():
        return (yield from shared)

    o = outer()
    r = [next(o), o.send(1), o.send(2)]
    try:
        o.send(None)
    except StopIteration as s:
        r.append(s.value)
    return r


def t_gen_throw_delegate():
    log = []

    def inner():
        try:
            yield 1
        except KeyError:
            log.append("key")
            yield 2
        finally:
            log.append("fin")

    shared = box.inner = inner()

    def outer():
        yield from shared

    o = outer()
    r = [next(o), o.throw(KeyError())]
    o.close()
    return r, log


def t_yield_from_list():
    box.l = [1, 2]

    def o():
        yield from box.l

    return list(o())


def t_fork():
    r, w = os.pipe()
    box.n = 1
    pid = os.fork()
    if pid == 0:
        box.n += 1
        things["f"] = box.n
        with lock:
            os.write(w, b"%d" % box.n)
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(r, 10)


def t_async():
    async def g(n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    async def main():
        box.q = asyncio.Queue()
        box.al = asyncio.Lock()
        box.ev = asyncio.Event()
        await box.q.put(3)
        async with box.al:
            box.n2 = 1
        out = [x async for x in g(3)] + [await box.q.get()]
        async for y in g(1):
            out.append(y)
        async with asyncio.timeout(1):
            out.append(await asyncio.gather(asyncio.sleep(0, 4), asyncio.sleep(0, 5)))
        try:
            async with asyncio.TaskGroup() as tg:
                tg.create_task(asyncio.sleep(0))
                raise KeyError(1)
        except* KeyError as e:
            out.append(len(e.exceptions))
        return out

    return asyncio.run(main())


def t_partial():
    p = box.p = functools.partial(max, 3)
    m = box.m = functools.partialmethod(max)
    s = box.s = functools.singledispatch(lambda x: "o")
    s.register(int)(lambda x: "i")
    c = functools.cached_property(lambda s: 3)

    class Q:
        v = functools.cached_property(lambda s: [1])

    q = box.q = Q()
    q.v.append(2)
    return p(4), s(1), s("a"), q.v


def t_super():
    class P:
        def f(self):
            return __class__.__name__

    class Q(P):
        def f(self):
            return super().f() + "q"

        def g(self):
            return super().f()

        @classmethod
        def c(cls):
            return super().__name__ if False else cls.__name__

    q = box.q = Q()
    return q.f(), q.g(), Q.c(), locals().keys() >= {"q"}


def t_locals_exec():
    x = 3
    d = {}
    exec("y = x + 1", {"x": x}, d)
    return d["y"], eval("x + 1"), sorted(locals())[:2], [vars() is not None], dir() != []


def t_match():
    box.pt = {"k": [1, 2, {"z": 3}]}
    match box.pt:
        case {"k": [a, *b]} if a == 1:
            return a, b
        case _:
            return 0


def t_tuple_unpack():
    box.l = [1, [2, 3]]
    a, (b, c) = box.l
    *d, e = box.l
    box.x, box.y = box.l
    (box.l[0], things["u"]) = 5, 6
    [q, w] = iter(box.l)
    for box.i, (things["i"], j) in [(1, (2, 3))]:
        pass
    return a, b, c, d, box.x, box.l[0], box.i, j, q


def t_unpack_errors():
    out = []
    for v in ([1], [1, 2, 3], 5, BadIter([1, 2]), BadGetattr()):
        box.v = v
        try:
            a, b = box.v
            out.append(a)
        except Exception as e:
            out.append(str(e))
    return out


def t_chain():
    box.l = [1, 2]
    return (
        1 < box.l[1] <= 2 != 3,
        1 in box.l,
        5 not in box.l,
        box.l is box.l,
        (box.l == [1, 2]) and not box.l,
    )


def t_namedtuple():
    N = collections.namedtuple("N", "a b")
    n = box.n = N(1, [2])
    m = box.m = n._replace(a=4)
    return m, n._asdict(), m.a


def t_enum():
    import enum

    class E(enum.Enum):
        A = 1
        B = 2

    class F(enum.Flag):
        X = 1
        Y = 2

    box.e = E.A
    things["e"] = E.B
    things[E.A] = 1
    f = box.f = F.X | F.Y
    return (
        box.e.name,
        E(2).name,
        E["A"].value,
        F.X in box.f,
        things[E.A],
        isinstance(E.A, E),
        [x.name for x in E],
    )


def t_ctypes():
    import ctypes

    b = box.b = (ctypes.c_int * 3)(1, 2, 3)
    b[0] = 5
    b[1] += 3

    class S(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int)]

    s = box.s = S(3)
    s.x += 1
    return list(b), s.x, len(b)


def t_ext():
    import array
    import decimal
    import io
    import re
    import sqlite3

    box.d = decimal.Decimal(1)
    box.d += 1
    box.a = array.array("i", [1, 2])
    box.a[0] += 1
    box.re = re.compile("a(.)")
    m = box.re.match("ab")
    box.m = m
    box.mv = memoryview(bytearray(b"abc"))
    box.mv[0] = 65
    box.io = io.StringIO()
    print("x", file=box.io)
    box.io.seek(0)
    c = box.c = sqlite3.connect(":memory:")
    c.row_factory = sqlite3.Row
    r = box.r = c.execute("select 1 as a, 2 as b").fetchone()
    c.close()
    return (
        box.d,
        list(box.a),
        box.m[1],
        bytes(box.mv),
        [l for l in box.io],
        r["a"],
        r[1],
        tuple(r),
        dict(r),
    )


def t_numpy():
    import numpy as np

    a = box.a = np.arange(6).reshape(2, 3)
    a[0, 1] = 7
    a[a > 3] = 0
    a += 1
    b = a[0]
    b[0] = 5
    box.o = np.array([None, {}], dtype=object)
    box.s = np.zeros(2, dtype=[("x", "i4")])
    box.s["x"][0] = 4
    box.z = np.array(3)
    z = box.z[()]
    box.z[...] = 4
    box.a = a
    box.a = np.arange(6).reshape(2, 3)
    things["a"] = a
    things["a"] = box.a
    try:
        bool(a == a)
    except ValueError:
        pass
    m = box.m = np.ma.array([1, 2], mask=[0, 1])
    m[0] = 4
    try:
        a[9]
    except IndexError as e:
        r = str(e)
    try:
        a["q"]
    except IndexError:
        pass
    return (
        a.tolist(),
        z,
        int(box.z),
        box.s.tolist(),
        r,
        box.o[1],
        a[..., 0].tolist(),
        a[-1].tolist(),
        a[np.newaxis].shape,
        m.tolist(),
    )


def t_threading():
    out = []

    class T(threading.Thread):
        def run(self):
            out.append(self.name != "")

    t = box.t = T()
    t.start()
    t.join()
    tm = box.tm = threading.Timer(0, out.append, [2])
    tm.start()
    tm.join()
    tl = box.tl = threading.local()
    tl.x = 1
    tl.x += 1

    class L(threading.local):
        def __init__(self, a):
            self.a = a

    l = box.l = L(3)
    c = threading.Condition()
    with c:
        c.notify_all()
        w = c.wait(0.001)
    b = threading.Barrier(1)
    b.wait()
    s = threading.BoundedSemaphore(1)
    s.acquire()
    s.release()
    try:
        s.release()
    except ValueError as e:
        out.append(str(e))
    try:
        threading.Lock().release()
    except RuntimeError as e:
        out.append(str(e))
    try:
        threading.RLock().release()
    except RuntimeError as e:
        out.append(str(e))
    return (
        out,
        tl.x,
        l.a,
        w,
        isinstance(threading.Lock(), type(threading.Lock())),
        isinstance(threading.RLock(), type(threading.RLock())),
    )


def t_del():
    died = []

    class D:
        def __del__(self):
            died.append(box.n)
            box.n += 1

    box.n = 0
    box.dd = D()
    box.dd = None
    box.dd = [D()]
    box.dd = 1
    return died


def t_recursion():
    def f(n):
        return 0 if n == 0 else 1 + f(n - 1)

    try:
        f(10**6)
    except RecursionError:
        return f(100)


def t_recursive_data():
    l = box.l = []
    l.append(l)
    d = box.d = {}
    d["d"] = d
    box.l = l
    box.d = d
    return len(str(l)), len(copy.deepcopy(d))


def t_huge():
    box.l = list(range(100000))
    s = sum(box.l)
    box.d = dict.fromkeys(range(50000))
    box.d.update(dict.fromkeys(range(50000, 60000)))
    return s, len(box.d), max(box.l)


def t_class_attr():
    class K:
        items = []
        n = 0

    box.k = K
    K.n += 1
    K.items.append(1)
    box.k.n = 5
    del K.n
    try:
        K.n
    except AttributeError as e:
        return K.items, str(e)


def t_class_body():
    class K:
        x = [i for i in range(3)]
        y = {k: v for k, v in zip("ab", x)}

        def __class_getitem__(cls, k):
            return k

        def __set_name__(self, o, n):
            self.nm = n

    return K[3], K.x, K.y


def t_global():
    global counter
    counter = 0
    counter += 1

    def f():
        nonlocal_ = 1

        def g():
            nonlocal nonlocal_
            nonlocal_ += 1
            return nonlocal_

        return g()

    del counter
    try:
        counter
    except NameError as e:
        return f(), str(e)


def t_unbound():
    if box is None:
        x = 1

    def f():
        return x

    try:
        f()
    except NameError as e:
        r = str(e)
    try:
        x += 1
    except UnboundLocalError as e:
        return r, str(e)


def t_dict_views():
    d = box.d = {"a": 1, "b": 2}
    k = d.keys()
    v = d.values()
    i = d.items()
    box.k = k
    r = sorted(k & {"a"}), ("a", 1) in i, list(reversed(d)), k.isdisjoint("z"), len(v)
    for a, b in d.items():
        pass
    try:
        for a in d:
            d[a + a] = 1
    except RuntimeError as e:
        return r, str(e), {**d}, [*k][:1], dict(**d) == d


def t_ordered():
    o = box.o = OrderedDict(a=1, b=2)
    o.move_to_end("a")
    c = box.c = collections.Counter("aab")
    c.update("b")
    c += collections.Counter("z")
    c.subtract("a")
    ch = box.ch = collections.ChainMap({}, o)
    ch["q"] = 3
    return list(o), c, ch["b"], ch.maps[0], c.most_common(1), c["none"], o.popitem()


def t_fmt():
    box.f = 3.14159
    box.l = [1]
    return (
        f"{box.f:.2f} {box.l!r:>5} {box.l=}",
        "%s" % box.l,
        "%s-%s" % (box.f, box.l),
        f"{box.f:.1f}",
    )


def t_lambda_default():
    fs = [lambda x=i: x for i in range(3)]
    box.fs = fs
    return [f() for f in box.fs]


def t_inspect():
    import inspect

    def f(a, b=[1], *c, d, **e):
        "doc"

    box.f = f
    return (
        str(inspect.signature(f)),
        f.__doc__,
        f.__code__.co_argcount,
        inspect.isfunction(f),
        inspect.getsource(t_partial)[:12],
        inspect.currentframe().f_code.co_name,
    )


def t_warn():
    import warnings

    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        warnings.warn("x", stacklevel=1)
        return [str(x.message) for x in w], os.path.basename(w[0].filename)


def t_exc():
    try:
        box.zzz
    except AttributeError as e:
        r = str(e), e.name, e.obj is box
    try:
        things["nokey"]
    except KeyError as e:
        r += (e.args,)
    try:
        raise ValueError(1) from KeyError(2)
    except ValueError as e:
        r += (type(e.__cause__).__name__, len(__import__("traceback").extract_tb(e.__traceback__)))
    try:
        box.l = [1]
        box.l()
    except TypeError as e:
        r += (str(e),)
    try:
        len(5)
    except TypeError as e:
        r += (str(e),)
    try:
        t_partial(1, 2)
    except TypeError as e:
        r += (str(e),)
    return r


def t_dataclass():
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class D:
        a: int
        b: list = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(slots=True)
    class E:
        a: int = 0

    d = box.d = D(1)
    e = box.e = E()
    e.a += 1
    try:
        d.a = 3
    except dataclasses.FrozenInstanceError as x:
        return str(x), dataclasses.replace(d, a=4).a, dataclasses.asdict(d), e.a


def t_mock():
    from unittest import mock

    m = box.m = mock.MagicMock()
    m.a.b.return_value = 3
    m.x = 1
    m["k"]
    m(4)
    things["m"] = m
    lst.append(m)
    lst.pop()
    with mock.patch.object(box, "n", 77, create=True):
        n = box.n
    return m.a.b(), m.called, m.call_args[0], n, len(m.mock_calls)


def t_mappingproxy():
    p = box.p = types.MappingProxyType({"a": 1})
    s = box.s = types.SimpleNamespace(a=1)
    s.a += 1
    return p["a"], "a" in p, dict(p), s, list(p.items())
