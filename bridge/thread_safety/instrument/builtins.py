"""What is known of objects whose methods are not Python code: how each accesses its object.

Which operations of the builtin containers are atomic is CPython's documentation
(https://docs.python.org/3/library/threadsafety.html); "grow" and "shrink" stand for those.
"""

from __future__ import annotations

import collections
import copy
import functools
import operator
import sys
import types
import weakref
from array import array
from typing import Any

from ..detector import COPY, GROW, ITERATE, PEEK, READ, REORDER, SHRINK, TOUCH, WRITE
from ..libraries import module_of_type, mro_of_type, qualname_of_type

#: How a deque is copied. Without the GIL, item by item: "deque mutated during iteration".
DEQUE_COPY = COPY if getattr(sys, "_is_gil_enabled", lambda: True)() else ITERATE
#: What the methods of containers do: to the structure, and to the item that their first argument
#: names. None: nothing that matters.
METHODS: dict[type, dict[str, tuple[str | None, str | None]]] = {
    list: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "clear": (SHRINK, None),
        "sort": (REORDER, None), "reverse": (REORDER, None), "index": (COPY, None),
        "count": (COPY, None), "copy": (COPY, None), "__len__": (PEEK, None),
    },
    dict: {
        "get": (None, READ), "setdefault": (GROW, TOUCH), "pop": (SHRINK, TOUCH),
        "popitem": (SHRINK, None), "clear": (SHRINK, None), "update": (GROW, None),
        "copy": (COPY, None), "__contains__": (None, READ), "move_to_end": (REORDER, None),
        "most_common": (ITERATE, None), "elements": (ITERATE, None), "total": (COPY, None),
        "subtract": (REORDER, None),
    },
    set: {
        "add": (GROW, TOUCH), "discard": (SHRINK, TOUCH), "remove": (SHRINK, TOUCH),
        "pop": (SHRINK, None), "clear": (SHRINK, None), "update": (GROW, None),
        "copy": (COPY, None), "union": (PEEK, None), "difference": (PEEK, None),
        "intersection": (PEEK, None), "issubset": (PEEK, None), "issuperset": (PEEK, None),
        "isdisjoint": (PEEK, None), "symmetric_difference": (PEEK, None),
        "difference_update": (SHRINK, None), "intersection_update": (SHRINK, None),
        "symmetric_difference_update": (REORDER, None),
    },
    collections.deque: {
        "append": (GROW, None), "appendleft": (GROW, None), "extend": (GROW, None),
        "extendleft": (GROW, None), "pop": (SHRINK, None), "popleft": (SHRINK, None),
        "remove": (SHRINK, None), "clear": (SHRINK, None), "insert": (REORDER, None),
        "rotate": (REORDER, None), "reverse": (REORDER, None), "copy": (DEQUE_COPY, None),
        "count": (DEQUE_COPY, None), "index": (DEQUE_COPY, None),
    },
    bytearray: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "clear": (SHRINK, None),
        "reverse": (REORDER, None),
        **dict.fromkeys(
            ["copy", "count", "decode", "endswith", "find", "hex", "index", "join", "partition",
             "replace", "rfind", "split", "splitlines", "startswith", "strip", "translate"],
            (COPY, None),
        ),
    },
    array: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "reverse": (REORDER, None),
        "byteswap": (REORDER, None), "frombytes": (GROW, None), "fromlist": (GROW, None),
        "tobytes": (COPY, None), "tolist": (COPY, None), "tounicode": (COPY, None),
        "tofile": (COPY, None), "index": (COPY, None), "count": (COPY, None),
    },
}  # fmt: skip
#: What is used like a dict.
MAPPINGS = (
    dict, collections.UserDict, collections.ChainMap, weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
)  # fmt: skip
METHODS.update(dict.fromkeys(MAPPINGS, METHODS[dict]))
#: What reads from files moves their position.
_POSITION: dict[str, str | None] = {
    "seek": WRITE, "read": WRITE, "read1": WRITE, "readinto": WRITE, "readline": WRITE,
    "read_byte": WRITE, "tell": READ, "": None,
}  # fmt: skip
#: Objects of the standard library with a state that their methods change: how each accesses it, or
#: the container that an attribute names. "" stands for the others; None: not at all.
STATEFUL: dict[str, dict[str, Any]] = {
    "_io.StringIO": {"getvalue": READ, "tell": READ, "": WRITE},
    "_io.BytesIO": {"getvalue": READ, "getbuffer": READ, "tell": READ, "": WRITE},
    "_io.BufferedReader": _POSITION, "_io.BufferedRandom": _POSITION, "_io.FileIO": _POSITION,
    "mmap.mmap": _POSITION, "gzip.GzipFile": _POSITION, "bz2.BZ2File": _POSITION,
    "lzma.LZMAFile": _POSITION, "zipfile.ZipExtFile": _POSITION,
    "tempfile._TemporaryFileWrapper": {"": None},  # what it has is watched
    "tempfile.SpooledTemporaryFile": _POSITION, "codecs.StreamReaderWriter": _POSITION,
    "wave.Wave_read": {"readframes": WRITE, "setpos": WRITE, "rewind": WRITE, "tell": READ, "": None},
    "tarfile.TarFile": {"": WRITE},
    "zipfile.ZipFile": {
        "namelist": PEEK, "infolist": PEEK, "getinfo": PEEK, "write": GROW, "writestr": GROW,
        "mkdir": GROW, "": None,
    },
    "logging.Logger": {
        "addHandler": ("handlers", GROW), "removeHandler": ("handlers", SHRINK),
        "hasHandlers": ("handlers", PEEK), "addFilter": ("filters", GROW),
        "removeFilter": ("filters", SHRINK), "": None,
    },
    "_hashlib.HASH": {"update": WRITE, "": READ},
    "_hashlib.HMAC": {"update": WRITE, "": READ},
    "hmac.HMAC": {"update": WRITE, "": READ},
    "threading.Event": {"is_set": PEEK, "set": GROW, "clear": SHRINK, "": None},
    "queue.Queue": {
        "empty": PEEK, "full": PEEK, "qsize": PEEK, "get": SHRINK, "get_nowait": SHRINK, "": None
    },
    "random.Random": {"seed": WRITE, "setstate": WRITE, "": TOUCH},
    "zlib.Compress": {"": WRITE},
    "zlib.Decompress": {"": WRITE},
    "_bz2.BZ2Compressor": {"": WRITE},
    "_lzma.LZMACompressor": {"": WRITE},
    "_csv.reader": {"": WRITE}, "csv.DictReader": {"fieldnames": READ, "": WRITE},
    "itertools.tee": {"": WRITE},
    "configparser.ConfigParser": {"get": READ, "getint": READ, "sections": READ, "": WRITE},
    "xml.etree.ElementTree.Element": {"find": READ, "findall": READ, "get": READ, "": WRITE},
}  # fmt: skip
#: Methods that keep their arguments, so that whoever knows the object knows them from then on.
KEEPS = frozenset(
    ["append", "appendleft", "add", "insert", "extend", "setdefault", "update", "put", "put_nowait",
     "push", "submit", "set", "set_result"]
)  # fmt: skip
#: Methods of arrays that change them in place.
ARRAY_CHANGES = frozenset(
    ["fill", "sort", "put", "partition", "resize", "itemset", "setfield", "byteswap"]
)
#: Functions of other modules that change an argument: its position.
CHANGES = {
    "_heapq.heappush": 0, "_heapq.heappop": 0, "_heapq.heapify": 0, "_heapq.heapreplace": 0,
    "_heapq.heappushpop": 0, "_bisect.insort_left": 0, "_bisect.insort_right": 0,
    "random.shuffle": 0, "_struct.pack_into": 1, "numpy.copyto": 0, "numpy.put": 0,
    "numpy.place": 0, "numpy.putmask": 0, "numpy.fill_diagonal": 0, "numpy.put_along_axis": 0,
    "numpy.dot": 2, "numpy.random.shuffle": 0,
    "operator.setitem": 0, "_operator.setitem": 0, "_operator.delitem": 0, "_operator.iadd": 0,
}  # fmt: skip
#: Functions that take a container as it is at one moment, and how; others walk through it.
SNAPSHOTS: dict[Any, str] = {
    **dict.fromkeys([len, bool], PEEK),
    **dict.fromkeys([list, tuple, sorted, set, frozenset, dict, bytes, copy.copy], COPY),
}
#: Modules whose functions look at all that an argument leads to, and functions of builtins that do.
DEEP = frozenset(
    ["json", "json.decoder", "json.encoder", "_json", "pickle", "_pickle", "copy", "dataclasses", "marshal",
     "pprint", "msgpack", "orjson", "ujson", "yaml", "cloudpickle", "dill"]
)  # fmt: skip
DEEP_FUNCTIONS = frozenset([str, repr, ascii, format, print])
#: Functions that only pass it on, or do not look into it.
NO_ACCESS = frozenset([id, type, isinstance, issubclass, hasattr, callable, super])
PASS_ON = ("queue", "_queue", "threading", "concurrent.futures", "contextvars", "functools")
#: Callable objects that can be looked up in sets; others may not like it, as dead references.
HASHABLE = frozenset([types.FunctionType, types.BuiltinFunctionType, type])
CONTAINERS = tuple(METHODS)
SEQUENCES = (list, collections.deque, bytearray, array)
VIEWS = ("keys", "values", "items")


def is_a(value: Any, kinds: Any) -> bool:
    """``isinstance``, but an object that answers for its class itself is not asked."""
    return issubclass(type(value), kinds)


def namespace(value: Any) -> dict[str, Any]:
    """The ``__dict__`` of an object, which is not asked for it either."""
    try:
        found: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except BaseException:  # of a class with a ``__dict__`` of its own
        return {}
    return found


def length(container: Any) -> int:
    """How many items a container has, by its builtin type: a class of the program is not asked."""
    for kind in CONTAINERS:
        if issubclass(type(container), kind):
            has_length: Any = kind
            count: int = has_length.__len__(container)
            return count
    return 0


def has_key(container: Any, key: Any) -> bool | None:
    """Whether a mapping has a key; None: the key does not let itself be looked up."""
    try:
        if issubclass(type(container), dict):
            return dict.__contains__(container, key)
        return key in container
    except (Exception, SystemExit):  # the operation itself will say so
        return None


def position_of(container: Any, key: Any) -> int | None:
    """The position that a key means in a sequence; None: it means none."""
    try:
        return operator.index(key) % (length(container) or 1)
    except (Exception, SystemExit):  # the operation itself will say so
        return None


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy."""
    return shows_memory(type(value)) and type(value) is not memoryview  # type: ignore[arg-type]


@functools.lru_cache(1000)  # asked for nearly every value; a type never changes its answer
def shows_memory(kind: Any) -> bool:
    """Whether it is the type of arrays or memory views, which may show another object's memory."""
    if kind is memoryview:
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, getattr(numpy, "ndarray", ()))


def base(value: Any) -> Any:
    """The object whose memory an array or a ``memoryview`` shows."""
    while True:
        if type(value) is memoryview:
            value = value.obj
        elif is_array(value) and value.base is not None:
            value = value.base
        else:
            return value


def changed_arguments(function: Any, name: str, module: str) -> range:
    """The positions of the arguments that a function changes."""
    kind = type(function).__name__
    if kind == "ufunc":
        return range(function.nin, function.nargs)
    owner = type(getattr(function, "__self__", None)).__name__
    if (owner, name) in (("ufunc", "at"), ("Generator", "shuffle"), ("RandomState", "shuffle")):
        return range(1)
    position = CHANGES.get(f"{module}.{name}")
    return range(0) if position is None else range(position, position + 1)


def compares_fields(kind: type) -> bool:
    """Whether objects of a type are compared field by field, by code that nobody has written."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return getattr(parameters, "eq", False) or hasattr(kind, "__attrs_attrs__")


def stateful(kind: type) -> dict[str, Any] | None:
    """How the methods of a type, or of a base of it, access its state; None if it has none."""
    for base in mro_of_type(kind):
        found = STATEFUL.get(f"{module_of_type(base)}.{qualname_of_type(base)}")
        if found is not None:
            return found
    return None


def name_of(function: Any) -> str:
    """The name of a function; empty if it has none."""
    return getattr(function, "__name__", "")


def module_of(function: Any) -> str:
    """The module of a function, or of its type."""
    kind = type(function)
    is_type = issubclass(kind, type)
    module = module_of_type(function) if is_type else getattr(function, "__module__", None)
    module = module or module_of_type(kind)
    return module if isinstance(module, str) else ""


def looks_deeply(function: Any) -> bool:
    """Whether a function looks at all that an argument leads to."""
    return module_of(function) in DEEP or (
        type(function) in HASHABLE and function in DEEP_FUNCTIONS
    )


def use_by(function: Any, container: Any) -> str:
    """The mode in which a function of a library uses a container that it is given."""
    mode = SNAPSHOTS.get(function, ITERATE) if type(function) in HASHABLE else ITERATE
    return DEQUE_COPY if mode == COPY and is_a(container, collections.deque) else mode
