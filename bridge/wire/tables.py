"""Tables: data frames and tables of Arrow to extension type 3 and back.

The payload is a stream of Arrow's IPC format, uncompressed as the bridge writes it. ``pyarrow`` is imported
when the first table is sent or arrives; polars can do without it to send.
"""

from __future__ import annotations

import sys

from msgpack import ExtType

from ..errors import RemoteProtocolError, class_name, shorten
from ..typing_names import Any
from .extensions import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARIES = frozenset(["pandas", "polars", "pyarrow"])
_MAX_REASON = 500
#: Older ones run code that a table brings (CVE-2023-47248).
_OLDEST = (14, 0, 1)


def is_of_tables(kind: type) -> bool:
    """Whether objects of the class are, or can be made, tables or columns of some."""
    return hasattr(kind, "__arrow_c_stream__") or any(
        base.__module__.partition(".")[0] in _LIBRARIES for base in kind.__mro__
    )


def table_form(value: Any) -> Any:
    """The form of a table, or of a column or a cell of one, by one step.

    A table becomes extension 3, a column a list, a cell its value; what is missing in them None.

    Raises:
        TypeError: It has none; with the way out.
    """
    names = {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(value).__mro__}
    if "pandas.DataFrame" in names:
        return ExtType(TABLE, _of_pandas(value))
    if "polars.DataFrame" in names:
        return ExtType(TABLE, _of_polars(value))
    if names & {"pyarrow.Table", "pyarrow.RecordBatch"}:
        return ExtType(TABLE, _write(_pyarrow(), value))
    if names & {"pandas.Series", "pandas.Index", "pandas.ExtensionArray"}:
        return _column_of_pandas(value)
    if "polars.Series" in names:
        return _listed(value, value.to_list)
    if names & {"pyarrow.Array", "pyarrow.ChunkedArray"}:
        return _listed(value, value.to_pylist)
    if "pyarrow.Scalar" in names:
        return _listed(value, value.as_py)
    if hasattr(type(value), "__arrow_c_stream__"):
        return ExtType(TABLE, _of_capsule(value))
    from .refusals import no_form

    raise no_form(value)


def decode_table(data: bytes | memoryview) -> Any:
    """The ``pyarrow.Table`` in the payload of an extension type: views of ``data``.

    Raises:
        RemoteProtocolError: The payload is malformed, or would become too much; or a package is missing.
    """
    pyarrow = _pyarrow_to_read()
    from .table_limits import check_table

    if data[:6] == b"ARROW1":
        raise RemoteProtocolError(
            "a table is a stream of Arrow IPC, and this is a file of it (Feather): write it with "
            "Explorer.DataFrame.dump_ipc_stream!/1, or pyarrow.ipc.new_stream"
        )
    try:
        check_table(pyarrow, data)
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(data)) as reader:
            table = reader.read_all()
        # offsets beyond the buffers would be read beyond the message
        table.validate(full=True)
        return table
    except RemoteProtocolError:
        raise
    except MemoryError:
        raise RemoteProtocolError("no memory to read a table", code="resource_exhausted") from None
    except Exception as error:
        raise RemoteProtocolError(
            f"a table is a stream of Arrow IPC, which this is not: {shorten(str(error), _MAX_REASON)}"
        ) from None


def table_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a table as maps: the form in JSON. Raises as ``decode_table``; ``TypeError``."""
    rows: list[dict[str, Any]] = []
    if "pyarrow" not in sys.modules and "polars" in sys.modules:
        rows.extend(sys.modules["polars"].read_ipc_stream(data).to_dicts())
        return rows
    table = decode_table(data)
    if len({*table.column_names}) < len(table.column_names):
        raise TypeError("two columns of a table have the same name, of which a map keeps one")
    rows.extend(_listed(table, table.to_pylist))
    return rows


def _listed(value: Any, make: Callable[[], Any]) -> Any:
    """Its values. Those of Arrow can be such as Python does not have."""
    try:
        return make()
    except (OverflowError, ValueError, NotImplementedError) as error:
        raise TypeError(
            f"no values of Python for this {class_name(type(value))}: {shorten(str(error), _MAX_REASON)}; "
            "times are in the years 1 to 9999, cast() makes other types of them, and MessagePack takes "
            "whole tables as they are"
        ) from None


def _pyarrow() -> Any:
    """Raises ``TypeError`` if it is not installed."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise TypeError(
            f"a table needs the Python package pyarrow, which is not installed: {_how_to_install()}; "
            "to_dict('records') makes maps of the rows of a frame"
        ) from None
    return pyarrow


def _pyarrow_to_read() -> Any:
    try:
        pyarrow = _pyarrow()
    except TypeError:
        raise RemoteProtocolError(
            f"a table needs the Python package pyarrow, which is not installed: {_how_to_install()}"
        ) from None
    version = tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit())
    if version < _OLDEST:
        raise RemoteProtocolError(
            f"pyarrow {pyarrow.__version__} can run code that a table brings; install 14.0.1 or newer"
        )
    return pyarrow


def _how_to_install() -> str:
    from ..requirements import Requirement, how_to_install

    return how_to_install([Requirement("pyarrow")])


def _write(pyarrow: Any, table: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _of_pandas(frame: Any) -> bytes:
    pyarrow = _pyarrow()
    try:
        return _write(pyarrow, pyarrow.Table.from_pandas(frame))
    except (ValueError, TypeError, NotImplementedError, KeyError, OverflowError) as error:
        raise _no_table(frame, error) from None


def _of_polars(frame: Any) -> bytes:
    held = [name for name, dtype in frame.schema.items() if _holds_objects(dtype)]
    if held:  # which polars would send as their addresses in memory
        raise TypeError(
            f"no form in Arrow for the column {shorten(held[0])} of objects; cast it, or send maps, as "
            "to_dicts() makes them"
        )
    try:
        pyarrow = _pyarrow()
    except TypeError:
        import io

        sink = io.BytesIO()
        frame.write_ipc_stream(sink)
        return sink.getvalue()
    try:
        return _write(pyarrow, frame.to_arrow())
    except BaseException as error:  # polars panics, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise _no_table(frame, error) from None


def _holds_objects(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None), *(f.dtype for f in getattr(dtype, "fields", None) or ())
    name = getattr(
        dtype, "__name__", type(dtype).__name__
    )  # a class stands for one without parameters
    return name == "Object" or any(map(_holds_objects, filter(None, inner)))


def _of_capsule(value: Any) -> bytes:
    """Of whatever offers its data in Arrow's way: DuckDB, Ibis, cuDF, readers of batches."""
    pyarrow = _pyarrow()
    try:
        reader = pyarrow.RecordBatchReader.from_stream(value)
        return _write(pyarrow, reader.read_all())
    except (ValueError, TypeError, NotImplementedError, AttributeError, OSError) as error:
        raise _no_table(value, error) from None


def _no_table(value: Any, error: BaseException) -> TypeError:
    # pyarrow adds the column as a second argument
    reason = "; ".join(str(part) for part in error.args) or type(error).__name__
    way_out = (
        "give the column one type, with astype(str) for example, or send maps, as to_dict('records') "
        "makes them"
    )
    if "uplicate" in reason:
        way_out = "give each column a name of its own"
    elif "parse" in reason:
        way_out = "frame.sparse.to_dense() makes one that is not"
    elif "complex" in reason:
        way_out = "make two columns of it, .real and .imag"
    return TypeError(
        f"no form in Arrow for this {class_name(type(value))}: {shorten(reason, _MAX_REASON)}; {way_out}"
    )


def _column_of_pandas(column: Any) -> list[Any]:
    values: list[Any] = column.tolist()
    if hasattr(column, "levels"):
        return values  # tuples, of which pandas does not say whether they are missing
    if getattr(column.dtype, "kind", "O") in "biufc" and not hasattr(column.dtype, "na_value"):
        return values  # NaN is a number in a column of NumPy's numbers
    missing = column.isna()
    if missing.any():
        return [None if gone else value for value, gone in zip(values, missing, strict=True)]
    return values
