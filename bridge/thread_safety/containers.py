"""What is known of objects whose methods are not Python code: how each accesses its object.

Which operations of the builtin containers are atomic is CPython's documentation
(https://docs.python.org/3/library/threadsafety.html); "grow" and "shrink" stand for those.
"""

from __future__ import annotations

import collections
import copy
import sys
from array import array

from .model import GROW, ITERATE, PEEK, READ, REORDER, SHRINK, TOUCH, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What the methods of containers do: to the structure, and to the item that their first argument
#: names. None: nothing that matters.
METHODS: dict[type, dict[str, tuple[str | None, str | None]]] = {
    list: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "clear": (SHRINK, None),
        "sort": (REORDER, None), "reverse": (REORDER, None), "index": (PEEK, None),
        "count": (PEEK, None), "copy": (PEEK, None), "__len__": (PEEK, None),
    },
    dict: {
        "get": (None, READ), "setdefault": (GROW, TOUCH), "pop": (SHRINK, TOUCH),
        "popitem": (SHRINK, None), "clear": (SHRINK, None), "update": (GROW, None),
        "copy": (PEEK, None), "__contains__": (None, READ), "move_to_end": (REORDER, None),
        "most_common": (ITERATE, None), "elements": (ITERATE, None), "total": (PEEK, None),
        "subtract": (REORDER, None),
    },
    set: {
        "add": (GROW, TOUCH), "discard": (SHRINK, TOUCH), "remove": (SHRINK, TOUCH),
        "pop": (SHRINK, None), "clear": (SHRINK, None), "update": (GROW, None),
        "copy": (PEEK, None), "union": (PEEK, None), "difference": (PEEK, None),
        "intersection": (PEEK, None), "issubset": (PEEK, None), "issuperset": (PEEK, None),
        "isdisjoint": (PEEK, None), "symmetric_difference": (PEEK, None),
        "difference_update": (SHRINK, None), "intersection_update": (SHRINK, None),
        "symmetric_difference_update": (REORDER, None),
    },
    collections.deque: {
        "append": (GROW, None), "appendleft": (GROW, None), "extend": (GROW, None),
        "extendleft": (GROW, None), "pop": (SHRINK, None), "popleft": (SHRINK, None),
        "remove": (SHRINK, None), "clear": (SHRINK, None), "insert": (REORDER, None),
        "rotate": (REORDER, None), "reverse": (REORDER, None), "copy": (PEEK, None),
        "count": (PEEK, None), "index": (PEEK, None),
    },
    bytearray: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "clear": (SHRINK, None),
        "reverse": (REORDER, None),
    },
    array: {
        "append": (GROW, None), "extend": (GROW, None), "insert": (REORDER, None),
        "pop": (SHRINK, None), "remove": (SHRINK, None), "reverse": (REORDER, None),
        "byteswap": (REORDER, None), "frombytes": (GROW, None), "fromlist": (GROW, None),
    },
}  # fmt: skip
#: Objects of the standard library with a state that their methods change: how each accesses it.
STATEFUL: dict[str, dict[str, str]] = {
    "_io.StringIO": {"getvalue": READ, "tell": READ, "": WRITE},
    "_io.BytesIO": {"getvalue": READ, "getbuffer": READ, "tell": READ, "": WRITE},
    "_hashlib.HASH": {"update": WRITE, "": READ},
    "_hashlib.HMAC": {"update": WRITE, "": READ},
    "hmac.HMAC": {"update": WRITE, "": READ},
    "random.Random": {"seed": WRITE, "setstate": WRITE, "": TOUCH},
    "zlib.Compress": {"": WRITE},
    "zlib.Decompress": {"": WRITE},
    "_bz2.BZ2Compressor": {"": WRITE},
    "_lzma.LZMACompressor": {"": WRITE},
    "_csv.reader": {"": WRITE},
    "itertools.tee": {"": WRITE},
    "configparser.ConfigParser": {"get": READ, "getint": READ, "sections": READ, "": WRITE},
    "xml.etree.ElementTree.Element": {"find": READ, "findall": READ, "get": READ, "": WRITE},
}
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
    "operator.setitem": 0, "_operator.setitem": 0, "_operator.delitem": 0, "_operator.iadd": 0,
}  # fmt: skip
#: Functions that take a container as it is at one moment; others walk through it.
SNAPSHOTS = frozenset([len, list, tuple, bool, sorted, set, frozenset, dict, bytes, copy.copy])
#: Functions that only pass it on, or do not look into it.
NO_ACCESS = frozenset([id, type, isinstance, issubclass, hasattr, callable, super])
PASS_ON = ("queue", "_queue", "threading", "concurrent.futures", "contextvars", "functools")
CONTAINERS = tuple(METHODS)
SEQUENCES = (list, collections.deque, bytearray, array)
VIEWS = ("keys", "values", "items")


def is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, "ndarray", ()))


def base(value: Any) -> Any:
    while is_array(value.base):
        value = value.base
    return value


def stateful(kind: type) -> dict[str, str] | None:
    for base in kind.__mro__:
        found = STATEFUL.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None
