"""Programs with objects that raise, or end the process, when they are compared, hashed, named or asked.

Each function gives the same, watched or not.
"""

# ruff: noqa
from __future__ import annotations

import copy
import pickle
import threading
import types
import weakref


class Exits(type):
    def __getattribute__(cls, name):
        if name in ("__module__", "__qualname__", "__mro__", "__hash__", "__dict__", "__name__"):
            raise SystemExit(3)
        return super().__getattribute__(name)


class ExitsOnHash(type):
    def __hash__(cls):
        raise SystemExit(4)

    def __eq__(cls, other):
        raise SystemExit(5)


class ExitsOnInstance(type):
    def __instancecheck__(cls, i):
        raise SystemExit(6)

    def __subclasscheck__(cls, i):
        raise SystemExit(7)


class A(metaclass=Exits):
    def __init__(self):
        self.n = 0

    def up(self):
        self.n += 1
        return self.n


class B(metaclass=ExitsOnHash):
    def __init__(self):
        self.n = 0

    def up(self):
        self.n += 1
        return self.n


class C(metaclass=ExitsOnInstance):
    def __init__(self):
        self.n = 0


class LyingClass:
    @property
    def __class__(self):
        raise SystemExit(8)

    n = 1


class Lies:
    __class__ = dict
    n = 1


class BadEq:
    def __init__(self, n=0):
        self.n = n

    def __eq__(self, other):
        raise RuntimeError("eq")

    def __hash__(self):
        return 1


class ExitEq(BadEq):
    def __eq__(self, other):
        raise SystemExit(9)

    __hash__ = BadEq.__hash__


class BadHash:
    def __hash__(self):
        raise RuntimeError("hash")


class ExitHash:
    def __hash__(self):
        raise SystemExit(9)


class BadGetattr:
    def __getattr__(self, name):
        raise RuntimeError(name)


class ExitGetattr:
    def __getattr__(self, name):
        raise SystemExit(name)


class BadGetattribute:
    def __getattribute__(self, name):
        raise RuntimeError(name)


class CallableBad:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, *a):
        return ("called", a)


class CallableExit:
    def __getattribute__(self, name):
        raise SystemExit(name)

    def __call__(self, *a):
        return ("called", len(a))


class CallableUnhashable:
    __hash__ = None

    def __call__(self, *a):
        return len(a)


class CallableExitHash:
    def __hash__(self):
        raise SystemExit(2)

    def __call__(self, *a):
        return len(a)


class BadRepr:
    def __repr__(self):
        raise SystemExit(3)

    __str__ = __repr__


class BadBool:
    def __bool__(self):
        raise RuntimeError("bool")


class BadLen(list):
    def __len__(self):
        raise RuntimeError("len")


class BadIter(list):
    def __iter__(self):
        raise RuntimeError("iter")


class CountsContains(dict):
    count = 0

    def __contains__(self, key):
        self.count += 1
        return dict.__contains__(self, key)


class Missing(dict):
    def __missing__(self, key):
        raise KeyError("missing " + str(key))


class Slots:
    __slots__ = ("a", "__weakref__")


class SlotsUnset:
    __slots__ = ("a", "b")


class Prop:
    calls = 0

    @property
    def v(self):
        Prop.calls += 1
        return Prop.calls


class Desc:
    def __get__(self, i, o):
        raise RuntimeError("desc get")

    def __set__(self, i, v):
        i.__dict__["d"] = v


class WithDesc:
    d = Desc()


class BadSetattr:
    def __setattr__(self, n, v):
        raise RuntimeError("no " + n)


class IntKey(int):
    def __hash__(self):
        raise RuntimeError("h")


class StrSub(str):
    def __eq__(self, o):
        raise SystemExit(1)

    def __hash__(self):
        return 5


class ModuleLike(types.ModuleType):
    pass


class DictAttrNotDict:
    @property
    def __dict__(self):
        raise SystemExit(1)


class BadModule:
    __module__ = 5


class NoneModule:
    __module__ = None

    def __init__(self):
        self.n = 1

    def up(self):
        self.n += 1
        return self.n


class Meta2(type):
    @property
    def __module__(cls):
        raise SystemExit("module")


class M2(metaclass=Meta2):
    def __init__(self):
        self.n = 1


class AbcLike:
    def __init_subclass__(cls, **kw):
        pass


class Key:
    def __init__(self, n):
        self.n = n

    def __hash__(self):
        return hash(self.n)

    def __eq__(self, o):
        return isinstance(o, Key) and self.n == o.n


class BadIndex:
    def __index__(self):
        raise SystemExit(11)


class Ix:
    def __index__(self):
        return 1


class Enter:
    def __enter__(self):
        return self

    def __exit__(self, *a):
        return False


class EnterGetattr:
    def __getattr__(self, n):
        raise SystemExit(n)

    def __enter__(self):
        return 1

    def __exit__(self, *a):
        return False


class EqArray:
    def __eq__(self, o):
        return self

    def __bool__(self):
        raise ValueError("ambiguous")

    __hash__ = None


class Box:
    pass


box = Box()
things = {}
lst = [1, 2, 3]
lock = threading.Lock()


def t_metaclass_exits():
    a = A()
    box.a = a
    things["a"] = a
    return [box.a.up(), things["a"].up(), len(things) > 0]


def t_metaclass_hash():
    b = B()
    box.b = b
    lst2 = box.__dict__
    return [box.b.up(), b.n]


def t_metaclass_hash_data():
    b = B()
    box.x = (b, [b])
    box.y = b
    return type(box.x).__name__


def t_metaclass_instance():
    c = C()
    box.c = c
    box.c.n += 1
    return box.c.n


def t_metaclass_class_itself():
    box.k = A
    things["k"] = B
    lst.append(C)
    lst.pop()
    return len(things) > 0


def t_lying_class():
    o = LyingClass()
    box.o = o
    things["o"] = o
    return box.o.n


def t_lies():
    o = Lies()
    box.o = o
    things["o"] = o
    box.o.n = 4
    return things["o"].n


def t_bad_eq_value():
    box.e = BadEq()
    box.e = BadEq()
    things["e"] = BadEq(1)
    things["e"] = BadEq(2)
    return things["e"].n


def t_exit_eq_value():
    box.e = ExitEq()
    box.e = ExitEq()
    things["e"] = ExitEq(1)
    things["e"] = ExitEq(2)
    return things["e"].n


def t_exit_eq_data():
    box.f = (StrSub("a"), 1)
    box.f = (StrSub("a"), 1)
    return len(box.f)


def t_bad_eq_key():
    d = box.d = {}
    d[BadEq(1)] = 1
    try:
        d[BadEq(2)] = 2
    except RuntimeError as e:
        return str(e), len(d)


def t_exit_eq_key():
    d = box.d = {}
    d[ExitEq(1)] = 1
    try:
        d[ExitEq(2)] = 2
    except SystemExit as e:
        return str(e), len(d)


def t_exit_eq_key_many():
    d = box.d = {}
    k = ExitEq(1)
    d[k] = 1
    d[k] = 2
    e = box.d2 = {}
    e[ExitEq(5)] = 1
    return d[k], k in d, len(e), d.get(k), d.pop(k), len(d)


def t_bad_hash_key():
    d = box.d = {}
    try:
        d[BadHash()] = 1
    except RuntimeError as e:
        return str(e)


def t_exit_hash_key():
    d = box.d = {}
    out = []
    for f in (
        lambda: d.__setitem__(ExitHash(), 1),
        lambda: d.get(ExitHash()),
        lambda: ExitHash() in d,
        lambda: d[ExitHash()],
    ):
        try:
            f()
        except SystemExit as e:
            out.append(str(e))
    return out


def t_bad_getattr():
    box.g = BadGetattr()
    things["g"] = box.g
    lst.append(box.g)
    lst.pop()
    try:
        box.g.foo
    except RuntimeError as e:
        return str(e)


def t_exit_getattr():
    box.g = ExitGetattr()
    things["g"] = box.g
    print if box.g else None
    g = box.g
    return [isinstance(g, ExitGetattr), len([g]), str(type(g).__name__), list([g])[0] is g]


def t_bad_getattribute():
    box.g = BadGetattribute()
    g = box.g
    try:
        g.x
    except RuntimeError as e:
        return str(e)


def t_callables():
    box.call = CallableBad()
    box.exit = CallableExit()
    box.un = CallableUnhashable()
    box.eh = CallableExitHash()
    return box.call(1), box.exit(1), box.un(1, 2), box.eh(1)


def t_callables_local():
    return CallableBad()(1), CallableExit()(1), CallableUnhashable()(1), CallableExitHash()(2)


def t_repr():
    box.r = BadRepr()
    things[BadRepr()] = 1
    things.clear()
    lst.append(box.r)
    return len([lst.pop()])


def t_bool():
    box.b = BadBool()
    try:
        return 1 if box.b else 2
    except RuntimeError as e:
        return str(e)


def t_badlen():
    box.l = BadLen([1, 2])
    v = box.l[0]
    box.l[1] = 5
    x = [i for i in box.l]
    box.l = BadLen([1])
    box.l += [3]
    return v, x


def t_baditer():
    box.l = BadIter([1, 2])
    a = len(box.l)
    try:
        return [x for x in box.l]
    except RuntimeError as e:
        return str(e), a


def t_counts_contains():
    d = box.q = CountsContains(a=1)
    d["a"]
    d["b"] = 2
    d["a"] = 3
    "a" in d
    del d["b"]
    return d.count


def t_missing():
    d = box.m = Missing()
    try:
        d["z"]
    except KeyError as e:
        return str(e)


def t_slots():
    s = box.s = Slots()
    r = weakref.ref(s)
    s.a = 1
    s.a += 1
    del s.a
    try:
        s.a
    except AttributeError:
        pass
    u = box.u = SlotsUnset()
    u.b = 3
    try:
        u.c = 4
    except AttributeError as e:
        return r() is s, u.b, str(e)


def t_prop():
    Prop.calls = 0
    p = box.p = Prop()
    a = p.v
    b = p.v
    hasattr(p, "v")
    p.v
    return a, b, Prop.calls


def t_desc():
    w = box.w = WithDesc()
    w.d = 4
    w.d = 5
    try:
        w.d
    except RuntimeError as e:
        return str(e), w.__dict__


def t_setattr():
    s = box.s = BadSetattr()
    try:
        s.a = 1
    except RuntimeError as e:
        return str(e)


def t_setattr_aug():
    s = box.s = BadSetattr()
    try:
        s.a += 1
    except AttributeError as e:
        return str(e)


def t_intkey():
    d = box.d = {}
    try:
        d[IntKey(4)] = 1
    except RuntimeError as e:
        return str(e)


def t_dict_prop():
    o = box.o = DictAttrNotDict()
    o.x = 4
    o.x += 1
    return o.x


def t_modules():
    o = box.o = NoneModule()
    o.up()
    box.bm = BadModule()
    b = BadModule()
    return o.up(), type(b).__name__, copy.copy(o).n


def t_meta_module():
    o = box.o = M2()
    o.n += 1
    things["o"] = o
    return o.n


def t_index():
    l = box.l = [1, 2, 3]
    l[Ix()] = 9
    a = l[Ix()], l[Ix() :], l[-1], l[True]
    try:
        l[BadIndex()]
    except SystemExit as e:
        return str(e), a
    finally:
        del l[Ix()]


def t_index_errors():
    l = box.l = []
    out = []
    for k in (0, -1, "a", None, 1.5, slice(None)):
        try:
            out.append(l[k])
        except Exception as e:
            out.append(repr(e))
        try:
            l[k] = ()
        except Exception as e:
            out.append(repr(e))
        try:
            del l[k]
        except Exception as e:
            out.append(repr(e))
    return out


def t_with():
    m = box.m = Enter()
    n = box.n = EnterGetattr()
    with m as a, n as b:
        pass
    with m, EnterGetattr() as c:
        pass
    try:
        with 5:
            pass
    except TypeError as e:
        return b, c, str(e)[:40]


def t_eq_array():
    box.e = EqArray()
    box.e = EqArray()
    things["e"] = EqArray()
    things["e"] = EqArray()
    box.t = (EqArray(),)
    box.t = (EqArray(),)
    return len(box.t)


def t_pickle():
    k = box.k = Key(3)
    d = box.d = {k: [k]}
    k2 = pickle.loads(pickle.dumps(k))
    d2 = copy.deepcopy(d)
    l = threading.Lock()
    e = None
    try:
        pickle.dumps(l)
    except TypeError as x:
        e = str(x)
    return k2 == k, list(d2.values())[0][0].n, e


def t_pickle_function():
    f = box.f = t_slots
    return pickle.loads(pickle.dumps(f)) is t_slots


def t_weak():
    class T:
        pass

    t = T()
    wd = box.wd = weakref.WeakValueDictionary()
    wd["t"] = t
    wk = box.wk = weakref.WeakKeyDictionary()
    wk[t] = 1
    ws = box.ws = weakref.WeakSet([t])
    died = []
    fin = weakref.finalize(t, died.append, 1)
    p = weakref.proxy(t)
    p.x = 3
    box.p = p
    box.p.x += 1
    r = [len(wd), len(wk), len(ws), t.x, "t" in wd]
    del t
    box.p = None
    del p
    import gc

    gc.collect()
    return r, len(wd), len(wk), len(ws), died


def t_dead_proxy():
    class T:
        pass

    t = T()
    p = weakref.proxy(t)
    box.p = p
    del t
    try:
        box.p.x
    except ReferenceError as e:
        r = str(e)
    try:
        things["p"] = box.p
        box.p = box.p
        bool(box.p)
    except ReferenceError as e:
        r += str(e)
    things.clear()
    box.p = None
    return r


def t_frozen_hostile():
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class D:
        a: object

        def __getattribute__(self, n):
            if n == "a":
                raise SystemExit("a")
            return object.__getattribute__(self, n)

    box.d = D(1)
    box.d = D(1)
    return type(box.d).__name__


def t_named_hostile():
    class T(tuple):
        _fields = 5

        def __len__(self):
            raise SystemExit(1)

        def __iter__(self):
            raise SystemExit(1)

        def __eq__(self, o):
            raise SystemExit(1)

    box.t = T((1, 2))
    box.t = T((1, 2))
    things["t"] = T()
    things["t"] = T()
    things.pop("t")
    return tuple.__len__(box.t)


def t_hostile_dict():
    class D(dict):
        def items(self):
            raise SystemExit("items")

        def values(self):
            raise SystemExit("values")

        def __iter__(self):
            raise SystemExit("iter")

        def __contains__(self, k):
            raise SystemExit("contains")

        def __len__(self):
            raise SystemExit("len")

        def get(self, *a):
            raise SystemExit("get")

    d = box.d = D(a=1)
    d["b"] = 2
    d["a"] = 3
    v = d["a"]
    del d["b"]
    box.d = D()
    box.l = [d]
    box.d = d
    return v, dict.__len__(d)


def t_hostile_list():
    class L(list):
        def __iter__(self):
            raise SystemExit("iter")

        def __len__(self):
            raise SystemExit("len")

        def __contains__(self, k):
            raise SystemExit("contains")

        def append(self, x):
            list.append(self, x)

    d = box.d = L([1, 2])
    d[0] = 5
    v = d[0], d[-1]
    d.append(3)
    del d[0]
    box.d = L()
    box.d = d
    box.q = [d]
    box.q2 = (d,)
    return v, list.__len__(d)


def t_property_exit():
    class P:
        @property
        def n(self):
            raise SystemExit("n")

        @n.setter
        def n(self, v):
            self.__dict__["_n"] = v

    p = box.p = P()
    p.n = 3
    p.n = 4
    try:
        p.n
    except SystemExit as e:
        return str(e), p._n


def t_getattr_fallback():
    class G:
        def __getattr__(self, n):
            if n.startswith("__"):
                raise AttributeError(n)
            return n.upper()

    g = box.g = G()
    return g.abc, g.x, getattr(g, "__zz__", 4), hasattr(g, "q"), g.foo + "x"
