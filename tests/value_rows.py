"""What becomes of every type: the one table that the tests run and ``docs/values.md`` is written from.

A type that the code knows and that is in no row fails ``test_every_type_has_a_row``: add one here, and run
``python -m scripts.pages.values``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What a form on the wire is in Elixir.
ELIXIR = {
    "nil": "`nil`",
    "boolean": "`true`, `false`",
    "integer": "integer",
    "float": "float; `:nan`, `:infinity`, `:neg_infinity`",
    "text": "binary",
    "bytes": "binary",
    "array": "list",
    "map": "map",
    "timestamp": "`DateTime`",
    "big integer": "integer",
    "tensor": "`%Bridge.Tensor{}`",
    "table": "`%Bridge.Table{}`",
    "refused": "",
}


@dataclass
class Row:
    """A type, or some that are alike.

    ``section``: the heading of its table. ``type``: as the page names it. ``make``: an example; raises ``ImportError`` where its package is
    absent. ``wire``: a key of ``ELIXIR``. ``arrives``: what a peer in Python reads; by ``same`` it is
    compared. ``json``: what gRPC's JSON has. ``back``: what a tool gets that is sent this again. ``remedy``:
    what the error says of a refused one, or what else can be done. ``names``: the names under which the
    code knows the type. ``json_text``: what the page says of the JSON, if not the kind of ``json``.
    """

    section: str
    type: str
    make: Callable[[], Any]
    wire: str
    arrives: Any = None
    json: Any = None
    back: str = ""
    remedy: str = ""
    names: tuple[str, ...] = ()
    json_text: str = ""

    @property
    def in_elixir(self) -> str:
        """What it is there."""
        return ELIXIR[self.wire]

    @property
    def in_json(self) -> str:
        """What it is in the JSON of gRPC."""
        kind = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "text"}
        kind |= {list: "list", dict: "map"}
        return "" if self.wire == "refused" else self.json_text or kind[type(self.json)]


def _import(module: str) -> Any:
    """A module; of a package that is not here an ``ImportError``, which skips the row."""
    import importlib

    return importlib.import_module(module)


def _enum(base: str) -> Any:
    enum = _import("enum")
    return getattr(enum, base)("Colour", {"RED": 3 if base == "IntEnum" else "red"}).RED


def _derived(base: type, value: Any) -> Any:
    return type("Own", (base,), {})(value)


def _dataclass() -> Any:
    return _import("dataclasses").make_dataclass("Point", [("x", int), ("y", int)])(1, 2)


def _attrs() -> Any:
    return _import("attrs").make_class("Point", ["x", "y"])(1, 2)


def _msgspec(**options: Any) -> Any:
    return _import("msgspec").defstruct("Point", [("x", int), ("y", int)], **options)(1, 2)


def _pydantic(module: str, field: str, value: str) -> Any:
    pydantic = _import(module)
    return pydantic.create_model("Model", value=(getattr(pydantic, field), ...))(value=value)


def _sqlite(query: str) -> Any:
    sqlite3 = _import("sqlite3")
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchone()
    finally:
        connection.close()


async def _async_generator() -> Any:
    yield 1


class _Awaitable:
    def __await__(self) -> Any:
        yield


def _table(make: Callable[[Any], Any]) -> Callable[[], Any]:
    """Of pyarrow, which a peer in Python reads it with, whoever sends it."""
    return lambda: make(_import("pyarrow"))


def _numpy(make: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: make(_import("numpy"))


def _columns(value: Any) -> Any:
    """A table as a dict of lists, to compare."""
    return value.to_pydict()


class Columns:
    """What a table shall hold."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns

    def __eq__(self, other: object) -> bool:
        return hasattr(other, "to_pydict") and _columns(other) == self.columns

    __hash__ = None  # type: ignore[assignment]


class Elements:
    """What a tensor shall hold."""

    def __init__(self, dtype: str, elements: Any) -> None:
        self.dtype = dtype
        self.elements = elements

    def __eq__(self, other: Any) -> bool:
        return str(other.dtype).endswith(self.dtype) and other.tolist() == self.elements

    __hash__ = None  # type: ignore[assignment]


PLAIN, NUMBERS, TIMES = "Plain values", "Numbers", "Times"
CONTAINERS, OBJECTS, DATA = "Containers", "Objects", "Bytes and files"
TENSORS, TABLES, NOT = "Arrays and tensors", "Tables and columns", "What is refused"
BIG = 2**70
_READS = "`str`"

ROWS = [
    Row(PLAIN, "`None`", lambda: None, "nil", None, None, "`None`"),
    Row(PLAIN, "`bool`", lambda: True, "boolean", True, True, "`bool`", names=("bool",)),
    Row(
        PLAIN, "`str`, and classes derived from it", lambda: _derived(str, "ä"), "text", "ä", "ä", "`str`",
        names=("str",),
    ),
    Row(PLAIN, "`UserString`", lambda: _import("collections").UserString("ä"), "text", "ä", "ä", "`str`", names=("UserString", "userstring")),
    Row(NUMBERS, "`int` of 64 bits, and classes derived from it", lambda: _derived(int, 5), "integer", 5, 5, "`int`", names=("int",)),
    Row(
        NUMBERS, "a longer one", lambda: _derived(int, BIG), "big integer", BIG, str(BIG), "`int`",
        json_text="text beyond 2^53",
    ),
    Row(NUMBERS, "`float`", lambda: 1.5, "float", 1.5, 1.5, "`float`", names=("float",)),
    Row(NUMBERS, "`nan`, `inf`", lambda: math.inf, "float", math.inf, "Infinity", "`float`"),
    Row(
        NUMBERS, "`Decimal`, of any size", lambda: _import("decimal").Decimal("1.10"), "text", "1.10", "1.10",
        _READS, "`float()` makes a number of it", names=("Decimal",),
    ),
    Row(
        NUMBERS, "`Fraction`, of any size", lambda: _import("fractions").Fraction(10**5000, 3), "text",
        "1" + "0" * 5000 + "/3", "1" + "0" * 5000 + "/3", _READS, "`float()` makes a number of it",
        names=("Fraction",),
    ),
    Row(NUMBERS, "a scalar of NumPy, of `bfloat16` too", _numpy(lambda np: np.float32(0.5)), "float", 0.5, 0.5, "`float`", names=("generic",)),
    Row(
        TIMES, "aware `datetime`, `pandas.Timestamp`",
        lambda: _import("datetime").datetime(2026, 1, 2, tzinfo=_import("datetime").UTC), "timestamp",
        _import("datetime").datetime(2026, 1, 2, tzinfo=_import("datetime").UTC), "2026-01-02T00:00:00+00:00",
        "aware `datetime` in UTC", names=("datetime",), json_text="text, ISO 8601",
    ),
    Row(
        TIMES, "naive `datetime`, `date`, `time`", lambda: _import("datetime").datetime(2026, 1, 2), "text",
        "2026-01-02T00:00:00", "2026-01-02T00:00:00", _READS, names=("date", "time"),
    ),
    Row(
        TIMES, "`datetime64` of any unit", _numpy(lambda np: np.datetime64("2026-01-02", "D")), "text",
        "2026-01-02T00:00:00", "2026-01-02T00:00:00", _READS,
    ),
    Row(
        TIMES, "`timedelta`, `timedelta64` of any unit", lambda: _import("datetime").timedelta(minutes=1),
        "float", 60.0, 60.0, "`float`, seconds", names=("timedelta",),
    ),
    Row(TIMES, "`NaT`, `pandas.NA`", _numpy(lambda np: np.datetime64("NaT", "s")), "nil", None, None, "`None`"),
    Row(TIMES, "`ZoneInfo`", lambda: _import("zoneinfo").ZoneInfo("UTC"), "text", "UTC", "UTC", _READS, names=("zoneinfo",)),
    Row(CONTAINERS, "`list`, `tuple`", lambda: (1, 2), "array", [1, 2], [1, 2], "`list`", names=("list", "tuple")),
    Row(
        CONTAINERS, "named tuple", lambda: _import("collections").namedtuple("P", "x y")(1, 2), "array",
        [1, 2], [1, 2], "`list`", "`._asdict()` is a map of it",
    ),
    Row(CONTAINERS, "`dict`, any `Mapping`", lambda: _import("types").MappingProxyType({"a": 1}), "map", {"a": 1}, {"a": 1}, "`dict`", names=("dict", "Mapping")),
    Row(
        CONTAINERS, "`set`, `frozenset`, `deque`, views of a `dict`", lambda: {7}, "array", [7], [7], "`list`",
        names=("set", "frozenset", "Set", "deque", "ValuesView"),
    ),
    Row(
        CONTAINERS, "`range`, up to ten million", lambda: range(3), "array", [0, 1, 2], [0, 1, 2], "`list`",
        names=("range",),
    ),
    Row(
        CONTAINERS, "`UserList`, `array.array`, any `Sequence`", lambda: _import("array").array("d", [1.5]),
        "array", [1.5], [1.5], "`list`", "`numpy.asarray()` makes a tensor of numbers", names=("Sequence",),
    ),
    Row(OBJECTS, "`Enum`: its value", lambda: _enum("Enum"), "text", "red", "red", _READS, names=("Enum",)),
    Row(OBJECTS, "`IntEnum`, `IntFlag`: its number", lambda: _enum("IntEnum"), "integer", 3, 3, "`int`"),
    Row(OBJECTS, "dataclass", _dataclass, "map", {"x": 1, "y": 2}, {"x": 1, "y": 2}, "`dict`", names=("__dataclass_fields__",)),
    Row(OBJECTS, "class of attrs", _attrs, "map", {"x": 1, "y": 2}, {"x": 1, "y": 2}, "`dict`", names=("__attrs_attrs__",)),
    Row(
        OBJECTS, "`msgspec.Struct`, with its `rename` and `tag`", lambda: _msgspec(rename="upper", tag="p"), "map",
        {"type": "p", "X": 1, "Y": 2}, {"type": "p", "X": 1, "Y": 2}, "`dict`",
        names=("__struct_encode_fields__",),
    ),
    Row(OBJECTS, "`msgspec.Struct` with `array_like`", lambda: _msgspec(array_like=True), "array", [1, 2], [1, 2], "`list`"),
    Row(
        OBJECTS, "model of pydantic 2: `model_dump()`",
        lambda: _pydantic("pydantic", "AnyUrl", "http://example.org/a"), "map",
        {"value": "http://example.org/a"}, {"value": "http://example.org/a"}, "`dict`",
        names=("model_dump", "pydantic_core"),
    ),
    Row(
        OBJECTS, "model of pydantic 1: `dict()`",
        lambda: _pydantic("pydantic.v1", "AnyUrl", "http://example.org/a"), "map",
        {"value": "http://example.org/a"}, {"value": "http://example.org/a"}, "`dict`",
        names=("__fields__", "dict"),
    ),
    Row(
        OBJECTS, "secret of pydantic: stars, as pydantic writes it",
        lambda: _pydantic("pydantic", "SecretStr", "open sesame"), "map",
        {"value": "**********"}, {"value": "**********"}, "", "`.get_secret_value()` sends it",
        names=("pydantic", "pydantic_extra_types"),
    ),
    Row(OBJECTS, "URL of yarl or httpx", lambda: _import("yarl").URL("http://a/b"), "text", "http://a/b", "http://a/b", _READS, names=("yarl", "httpx")),
    Row(
        OBJECTS, "`sqlite3.Row`", lambda: _sqlite("select 1 as a, 'x' as b"), "map", {"a": 1, "b": "x"},
        {"a": 1, "b": "x"}, "`dict`", names=("Row",),
    ),
    Row(OBJECTS, "`UUID`", lambda: _import("uuid").UUID(int=1), "text", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001", _READS, names=("UUID",)),
    Row(OBJECTS, "path", lambda: _import("pathlib").PurePosixPath("a/b"), "text", "a/b", "a/b", _READS, names=("__fspath__",)),
    Row(OBJECTS, "address or network of `ipaddress`", lambda: _import("ipaddress").ip_address("::1"), "text", "::1", "::1", _READS, names=("ipaddress",)),
    Row(DATA, "`bytes`, `bytearray`, `memoryview`", lambda: memoryview(b"\xff"), "bytes", b"\xff", "/w==", "`bytes`", json_text="text, base64", names=("bytes", "bytearray", "memoryview")),
    Row(DATA, "`mmap`, `PickleBuffer`", lambda: _import("pickle").PickleBuffer(b"\xff"), "bytes", b"\xff", "/w==", "`bytes`", json_text="text, base64", names=("mmap.mmap", "_pickle.PickleBuffer", "pickle.PickleBuffer")),
    Row(DATA, "`pyarrow.Buffer`", _table(lambda pa: pa.py_buffer(b"\xff")), "bytes", b"\xff", "/w==", "`bytes`", json_text="text, base64", names=("pyarrow.Buffer",)),
    Row(DATA, "`BytesIO`: all that is in it", lambda: _import("io").BytesIO(b"\xff"), "bytes", b"\xff", "/w==", "`bytes`", json_text="text, base64", names=("_io", "io", "getvalue")),
    Row(DATA, "`StringIO`", lambda: _import("io").StringIO("ä"), "text", "ä", "ä", "`str`"),
    Row(
        TENSORS, "`numpy.ndarray` of numbers or booleans", _numpy(lambda np: np.array([[1, 2]], "i2")), "tensor",
        Elements("int16", [[1, 2]]), [[1, 2]], "`numpy.ndarray`, read-only",
        "`@tool(writable=True)`, or a copy, to change what arrives", names=("ndarray",),
        json_text="nested lists",
    ),
    Row(
        TENSORS, "array of `bfloat16`, `torch.bfloat16`",
        lambda: _numpy(lambda np: np.array([1.5], _import("ml_dtypes").bfloat16))(), "tensor",
        Elements("bfloat16", [1.5]), [1.5], "`ndarray` with `ml_dtypes`, else `torch.Tensor`", json_text="nested lists",
    ),
    Row(
        TENSORS, "`torch.Tensor`, wherever it is", lambda: _import("torch").tensor([1.5], requires_grad=True),
        "tensor", Elements("float32", [1.5]), [1.5],
        "`torch.Tensor` for a parameter annotated so, else `ndarray`", json_text="nested lists",
        names=("Tensor",),
    ),
    Row(
        TABLES, "`pandas.DataFrame`, of pandas 2 and 3", lambda: _table(lambda _: _import("pandas").DataFrame({"a": [1, 2]}))(),
        "table", Columns(a=[1, 2]), [{"a": 1}, {"a": 2}], "`pyarrow.Table`, or the frame that the annotation names",
        "`to_dict('records')` for a client that takes no tables", names=("pandas.DataFrame", "pandas"),
        json_text="list of maps",
    ),
    Row(
        TABLES, "`polars.DataFrame`", lambda: _table(lambda _: _import("polars").DataFrame({"a": [1, None]}))(), "table",
        Columns(a=[1, None]), [{"a": 1}, {"a": None}], "the same", names=("polars.DataFrame", "polars"),
        json_text="list of maps",
    ),
    Row(
        TABLES, "`pyarrow.Table`, `RecordBatch`", _table(lambda pa: pa.table({"a": [1]})), "table", Columns(a=[1]), [{"a": 1}],
        "the same", names=("pyarrow.Table", "pyarrow.RecordBatch", "pyarrow"), json_text="list of maps",
    ),
    Row(
        TABLES, "what has `__arrow_c_stream__`: DuckDB, Ibis, a reader of batches",
        _table(lambda pa: pa.table({"a": [1]}).to_reader()), "table", Columns(a=[1]), [{"a": 1}], "the same",
        "`@tool(stream=True)` sends a reader's batches one by one", names=("__arrow_c_stream__",),
        json_text="list of maps",
    ),
    Row(
        TABLES, "`pandas.Series`, `Index`, `Categorical`", lambda: _import("pandas").Series(["a", None]), "array",
        ["a", None], ["a", None], "`list`; a series for a parameter annotated so", "`.to_frame()` is a table",
        names=("pandas.Series", "pandas.Index", "pandas.ExtensionArray"),
    ),
    Row(
        TABLES, "`polars.Series`", lambda: _import("polars").Series([1, None]), "array", [1, None], [1, None],
        "the same", "`.to_frame()` is a table", names=("polars.Series",),
    ),
    Row(
        TABLES, "`pyarrow.Array`, `ChunkedArray`", _table(lambda pa: pa.array([1, None])), "array", [1, None],
        [1, None], "`list`", names=("pyarrow.Array", "pyarrow.ChunkedArray"),
    ),
    Row(TABLES, "`pyarrow.Scalar`", _table(lambda pa: pa.scalar(3)), "integer", 3, 3, "`int`", names=("pyarrow.Scalar",)),
    Row(NOT, "array of text", _numpy(lambda np: np.array(["a"])), "refused", remedy="tolist() makes a list of it"),
    Row(NOT, "array of objects", _numpy(lambda np: np.array([None])), "refused", remedy="tolist() makes a list of it"),
    Row(
        NOT, "array of `datetime64` or `timedelta64`", _numpy(lambda np: np.array(["2026"], "M8[s]")), "refused",
        remedy="list() makes a list of times of it",
    ),
    Row(
        NOT, "structured array", _numpy(lambda np: np.zeros(1, [("a", "i4")])), "refused",
        remedy="pandas.DataFrame(array) is a table",
    ),
    Row(
        NOT, "masked array with masked elements", _numpy(lambda np: np.ma.array([1], mask=[True])), "refused",
        remedy="filled() replaces these", names=("MaskedArray",),
    ),
    Row(
        NOT, "array of `longdouble`", _numpy(lambda np: np.zeros(1, "g")), "refused",
        remedy="astype('float64') makes one that is",
    ),
    Row(
        NOT, "`complex`", lambda: 1j, "refused", remedy="[z.real, z.imag] is a list of two numbers",
        names=("complex",),
    ),
    Row(
        NOT, "`range` of more than ten million", lambda: range(10**30), "refused",
        remedy="send its start, stop and step",
    ),
    Row(
        NOT, "generator, iterator", lambda: iter([1]), "refused", remedy="@tool(stream=True)", names=("Iterator",),
    ),
    Row(
        NOT, "async generator", lambda: _async_generator(), "refused", remedy="@tool(stream=True)",
        names=("ag_frame", "AsyncIterator"),
    ),
    Row(NOT, "coroutine, future", lambda: _Awaitable(), "refused", remedy="await it in a tool that is an async def", names=("Awaitable",)),
    Row(NOT, "exception", lambda: ValueError("no"), "refused", remedy="raise it", names=("BaseException",)),
    Row(NOT, "class, function", lambda: len, "refused", remedy="send its name", names=("type", "__qualname__")),
    Row(NOT, "module", lambda: math, "refused", remedy="send its name", names=("ModuleType",)),
    Row(NOT, "open file, socket", lambda: _import("io").TextIOWrapper(_import("io").BytesIO()), "refused", remedy="what read() gives", names=("read", "close")),
    Row(
        NOT, "`polars.LazyFrame`", lambda: _import("polars").LazyFrame({"a": [1]}), "refused",
        remedy="collect() makes a frame of it", names=("polars.LazyFrame",),
    ),
    Row(
        NOT, "`sqlite3.Row` with two columns of one name", lambda: _sqlite("select 1 as a, 2 as a"), "refused",
        remedy="name them with AS",
    ),
    Row(
        NOT, "`pandas.DataFrame` with a column of mixed types",
        lambda: _table(lambda _: _import("pandas").DataFrame({"a": [1, "x"]}))(), "refused",
        remedy="give the column one type",
    ),
    Row(
        NOT, "view of memory that is not in one piece", lambda: memoryview(b"abcd")[::2], "refused",
        remedy="bytes() of the view",
    ),
    Row(NOT, "any other object", lambda: _import("threading").Lock(), "refused", remedy="encoders = {lock: function}", names=("__iter__", "__dict__")),
]  # fmt: skip
