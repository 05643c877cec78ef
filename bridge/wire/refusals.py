"""What to do with a value that has no form on the wire: the end of the error that refuses it.

Loaded when one is refused. Nothing here raises, whatever the value's class does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from types import ModuleType

from ..errors import class_name
from ..typing_names import Any

#: By library and class; without a class, whatever else is of that library.
_BY_CLASS = {
    "polars.LazyFrame": "collect() makes a frame of it, which travels",
    "polars.Expr": "select() with it makes a frame, which travels",
    "pandas.DataFrameGroupBy": "agg() or the like makes a frame of it, which travels",
    "pandas.SeriesGroupBy": "agg() or the like makes a series of it, which travels",
    "pyarrow.Dataset": "to_table() makes a table of it, which travels",
    "pyarrow.Scanner": "to_table() makes a table of it, which travels",
    "pyarrow.Field": "str() makes text of it",
    "pyarrow.DataType": "str() makes text of it",
    "pyarrow.Tensor": "to_numpy() makes an array of it",
    "pyarrow.Schema": "str() makes text of it; a table brings its own",
    "torch.Module": "state_dict() is a map of its tensors, which travels",
    "torch.device": "str() makes text of it",
    "torch.dtype": "str() makes text of it",
    "numpy.dtype": "str() makes text of it",
    "numpy.longdouble": "float() makes a number of it",
    "numpy.clongdouble": "complex() and then a list of .real and .imag make numbers of it",
    "PIL.Image": "numpy.asarray() makes an array of it, save() into a BytesIO the bytes of a file",
    "scipy": "toarray() makes an array of what is sparse",
    "matplotlib.Figure": "savefig() into a BytesIO makes the bytes of a file",
    "re.Pattern": ".pattern is its text",
    "re.Match": ".group() is its text",
    "types.SimpleNamespace": "vars() is a map of it",
    "msgspec.UnsetType": "leave it out, or send None",
    "sqlite3.Cursor": "fetchall() makes a list of its rows",
    "pandas": "str() makes text of it",
}
_LIST = "list() makes a list of it, if it ends"
_STREAM = (
    "yield its items in the tool, or say @tool(stream=True), and they travel one by one; " + _LIST
)


def no_form(value: Any) -> TypeError:
    """The error of a value that has no form on the wire, with the way out."""
    return TypeError(f"no form on the wire for {class_name(type(value))}; {remedy(value)}")


def remedy(value: Any) -> str:
    """What its tool can do with a value of any class."""
    try:
        return _remedy(value)
    except BaseException:  # code of the value's class, SystemExit included
        return _encoders(value)


def _remedy(value: Any) -> str:
    kind = type(value)
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return "send its name, or what it makes"
    if isinstance(value, ModuleType):
        return "send its name"
    if isinstance(value, complex):
        return "[z.real, z.imag] is a list of two numbers, numpy.array(z) a tensor of type c128"
    if isinstance(value, BaseException):
        return "raise it to have it told, or send str() of it"
    if hasattr(value, "ag_frame") or isinstance(value, AsyncIterator):
        return "yield its items in the tool, or say @tool(stream=True), and they travel one by one"
    if isinstance(value, Awaitable):
        return "await it in a tool that is an async def"
    if callable(getattr(value, "read", None)) and callable(getattr(value, "close", None)):
        return "send what read() gives, or its path"
    if isinstance(value, Iterator):
        return _STREAM
    for base in kind.__mro__:
        library = base.__module__.partition(".")[0]
        found = _BY_CLASS.get(f"{library}.{base.__name__}") or _BY_CLASS.get(library)
        if found is not None:
            return found
    if hasattr(kind, "__iter__"):
        return f"{_LIST}; {_encoders(value)}"
    return _encoders(value)


def _encoders(value: object) -> str:
    name = type.__dict__["__name__"].__get__(type(value))
    text = f"encoders = {{{name}: function}} in the adapter gives it one"
    return f"{text}, vars() may be a map of it" if hasattr(value, "__dict__") else text


def array_remedy(array: Any, known: str, max_rank: int) -> str:
    """What to do with an array of NumPy that is no tensor.

    Args:
        array: which.
        known: the names of the element types of tensors.
        max_rank: so many dimensions they may have.
    """
    kind = array.dtype.kind
    if array.ndim > max_rank:
        return f"reshape() makes one of at most {max_rank} dimensions"
    if kind in "mM":
        return (
            "list() makes a list of times of it, astype('int64') numbers in its unit, a pandas.DataFrame "
            "a table"
        )
    if kind == "O":
        return "tolist() makes a list of it, astype(float) a tensor if all its elements are numbers"
    if kind in "UST":
        return "tolist() makes a list of it, a pandas.DataFrame a table"
    if array.dtype.names:
        return (
            "pandas.DataFrame(array) is a table, {name: array[name] for name in array.dtype.names} a map "
            "of tensors, array.tolist() a list of rows"
        )
    if kind == "V":
        if array.dtype.itemsize <= 2:  # numbers of eight bits and less, of the package ml_dtypes
            return "astype('float32') makes a tensor of it"
        return "tobytes() makes bytes of it"
    nearest = "complex128" if kind == "c" else "float64"
    return f"astype({nearest!r}) makes one that is; there are {known}"
