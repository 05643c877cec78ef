"""What makes tables, columns and tensors of libraries out of what the wire brings.

A class can only be an annotation if somebody imported its library, so none is imported before a call.
"""

from __future__ import annotations

import sys

from ..errors import class_name, shorten
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def maker_of(kind: type) -> Callable[[Any], Any] | None:
    """What makes objects of a library's class; None: it is none of those that are known here."""
    function = _MAKERS.get((kind.__module__.partition(".")[0], kind.__name__))
    if function is None:
        return None

    def make(value: Any) -> Any:
        return value if isinstance(value, kind) else function(value)

    return make


def _pandas_frame(value: Any) -> Any:
    pandas = sys.modules["pandas"]
    if _is_table(value):
        return value.to_pandas()
    return pandas.DataFrame(_rows_or_columns(value))


def _polars_frame(value: Any) -> Any:
    polars = sys.modules["polars"]
    if _is_table(value):
        frame = polars.from_arrow(value)
        # a table of one column of structs, for one, becomes a series
        return frame if isinstance(frame, polars.DataFrame) else frame.to_frame()
    return polars.DataFrame(_rows_or_columns(value))


def _lazy_frame(value: Any) -> Any:
    return _polars_frame(value).lazy()


def _arrow_table(value: Any) -> Any:
    pyarrow = sys.modules["pyarrow"]
    if _is_table(value):
        return value
    content = _rows_or_columns(value)
    make = pyarrow.Table.from_pylist if isinstance(content, list) else pyarrow.Table.from_pydict
    return make(content)


def _record_batch(value: Any) -> Any:
    table = _arrow_table(value).combine_chunks()
    batches = table.to_batches()
    if batches:
        return batches[0]
    pyarrow = sys.modules["pyarrow"]
    return pyarrow.RecordBatch.from_arrays(
        [pyarrow.array([], field.type) for field in table.schema], schema=table.schema
    )


def _pandas_series(value: Any) -> Any:
    if _is_table(value):
        return _only_column(value).to_pandas()
    return sys.modules["pandas"].Series(_column(value))


def _polars_series(value: Any) -> Any:
    polars = sys.modules["polars"]
    if _is_table(value):
        return polars.from_arrow(_only_column(value))
    return polars.Series(values=_column(value))


def _torch_tensor(value: Any) -> Any:
    torch = sys.modules["torch"]
    array: Any = getattr(sys.modules.get("numpy"), "ndarray", ())
    if isinstance(value, array):
        if value.dtype.name == "bfloat16":
            return torch.from_numpy(value.view("i2").copy()).view(torch.bfloat16)
        if value.dtype.kind == "u" and value.dtype.itemsize > 1 and not hasattr(torch, "uint16"):
            raise TypeError(
                f"this version of torch has no unsigned integers but of 8 bits, got {value.dtype}"
            )
        return torch.from_numpy(value.copy())
    if isinstance(value, bool | int | float | list):
        return torch.tensor(value)
    raise TypeError(f"expected a tensor, or numbers in lists, got {shorten(value)}")


def _is_table(value: Any) -> bool:
    # another thread may be importing it
    return isinstance(value, getattr(sys.modules.get("pyarrow"), "Table", ()))


def _rows_or_columns(value: Any) -> Any:
    """A list of maps, or a map of columns, which is all that makes a table without one."""
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    if isinstance(value, dict) and all(_is_column(column) for column in value.values()):
        return value
    raise TypeError(
        f"expected a table (%Bridge.Table{{}}), a list of maps or a map of lists, got {shorten(value)}"
    )


def _is_column(value: Any) -> bool:
    return isinstance(value, list) or class_name(type(value)) == "numpy.ndarray"


def _column(value: Any) -> Any:
    if not _is_column(value):
        raise TypeError(f"expected a list, an array or a table of one column, got {shorten(value)}")
    return value


def _only_column(table: Any) -> Any:
    if table.num_columns != 1:
        raise TypeError(f"expected a table of one column, got one of {table.num_columns}")
    return table.column(0)


_MAKERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "LazyFrame"): _lazy_frame,
    ("polars", "Series"): _polars_series,
    ("pyarrow", "Table"): _arrow_table,
    ("pyarrow", "RecordBatch"): _record_batch,
    ("torch", "Tensor"): _torch_tensor,
}
