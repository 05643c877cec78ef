"""Tensors: arrays of NumPy to extension type 2 and back.

The payload is specified byte by byte in ``protos/stdio.md``: element type, rank, shape, elements.
NumPy is imported when the first tensor arrives; what is sent can only be an array if it is here.
"""

from __future__ import annotations

import struct
import sys

from msgpack import ExtType

from ..errors import RemoteProtocolError
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy

TENSOR = 2
#: Element types of a tensor, named as in Nx, and NumPy's names for them (little-endian).
DTYPES = {
    "u8": "<u1", "u16": "<u2", "u32": "<u4", "u64": "<u8",
    "s8": "<i1", "s16": "<i2", "s32": "<i4", "s64": "<i8",
    "f16": "<f2", "f32": "<f4", "f64": "<f8",
    "c64": "<c8", "c128": "<c16",
}  # fmt: skip
_TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()} | {
    "|b1": "u8",
    "|u1": "u8",
    "|i1": "s8",
}
#: NumPy's own limit is 32 dimensions up to version 1 and 64 since; nobody needs more than this.
MAX_RANK = 32
_MAX_EMPTY_LISTS = 1_000_000
#: One element of the payload after another: 8 bytes of name, then unsigned integers.
_NAME_BYTES = 8


def encode_tensor(array: numpy.ndarray[Any, Any]) -> ExtType:
    """A tensor as an extension type.

    Raises:
        TypeError: There is no such tensor on the wire.
    """
    header, elements = _split(array)
    return ExtType(TENSOR, b"".join((header, elements.data)))


def split_tensor(array: numpy.ndarray[Any, Any]) -> tuple[bytes, memoryview]:
    """The payload of a tensor's extension type in two: what comes first, and the elements.

    The elements are copied unless nobody can change them.

    Raises:
        TypeError: There is no such tensor on the wire.
    """
    header, elements = _split(array)
    numpy = sys.modules["numpy"]
    if numpy.may_share_memory(elements, array) and not _is_frozen(array):
        elements = elements.copy()
    return header, elements.data


def decode_tensor(data: bytes) -> numpy.ndarray[Any, Any]:
    """The array in the payload of an extension type: a read-only view of ``data``.

    Raises:
        RemoteProtocolError: The payload is malformed, or a package is missing.
    """
    name = data[:_NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
    numbers = _NAME_BYTES + 8
    if len(data) < numbers:
        raise RemoteProtocolError(
            "a tensor is element type, rank, shape and elements; it is cut off"
        )
    (rank,) = struct.unpack_from("<Q", data, _NAME_BYTES)
    start = numbers + 8 * rank
    if rank > MAX_RANK or len(data) < start:
        raise RemoteProtocolError(f"a tensor of rank {rank}, but at most {MAX_RANK} and its shape")
    shape = struct.unpack_from(f"<{rank}Q", data, numbers)
    dtype = _dtype(name)
    size = dtype.itemsize
    for dimension in shape:
        size *= dimension
    if len(data) - start != size:
        raise RemoteProtocolError(
            f"a tensor {name} of shape {list(shape)} has {size} bytes of elements, "
            f"got {len(data) - start}"
        )
    import numpy

    # a read-only view of the message: no copy
    return numpy.frombuffer(data, dtype, offset=start).reshape(shape)


def to_lists(array: Any) -> Any:
    """An array, a tensor or a scalar of theirs as nested lists: the form in JSON.

    Raises:
        TypeError: It has no elements, but so many lists that they would fill the memory.
    """
    lists = 1
    for dimension in getattr(array, "shape", ()):
        if dimension == 0 and lists > _MAX_EMPTY_LISTS:
            raise TypeError(f"an array of shape {tuple(array.shape)} is {lists} empty lists")
        lists *= dimension
    return array.tolist()


def _is_frozen(array: Any) -> bool:
    """Whether the owner of the elements has made them read-only."""
    numpy = sys.modules["numpy"]
    while isinstance(array, numpy.ndarray) and not array.flags.writeable:
        if array.base is None:
            return True
        array = array.base
    return type(array) is bytes


def _split(array: numpy.ndarray[Any, Any]) -> tuple[bytes, numpy.ndarray[Any, Any]]:
    """A tensor's header, and its elements as bytes."""
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        if masked.is_masked(array):
            raise TypeError(
                "no tensor on the wire for an array with masked elements; filled() replaces these, "
                "tolist() makes them nil"
            )
        array = masked.getdata(array)
    name = _TYPE_NAMES.get(array.dtype.newbyteorder("<").str)
    if array.dtype.name == "bfloat16":
        name = "bf16"
    if array.dtype.kind in "mM":
        raise TypeError(
            f"no tensor on the wire for an array of {array.dtype}; list() makes a list of times of "
            "it, astype('int64') numbers in its unit"
        )
    if name is None or array.ndim > MAX_RANK:
        raise TypeError(
            f"no tensor on the wire for an array of dtype {array.dtype} and rank {array.ndim}; "
            f"there are {', '.join(DTYPES)}, bf16 and bool, up to rank {MAX_RANK}"
        )
    header = name.encode().ljust(_NAME_BYTES, b"\0") + struct.pack(
        f"<{1 + array.ndim}Q", array.ndim, *array.shape
    )
    little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return header, little_endian.reshape(-1).view("u1")


def _dtype(name: str) -> Any:
    try:
        import numpy

        if name == "bf16":
            import ml_dtypes  # NumPy has no bfloat16 of its own

            return numpy.dtype(ml_dtypes.bfloat16)
    except ImportError as error:
        from ..requirements import Requirement, how_to_install

        package = error.name or "numpy"
        raise RemoteProtocolError(
            f"a tensor needs the Python package {package}, which is not installed: "
            f"{how_to_install([Requirement(package)])}"
        ) from None
    if name not in DTYPES:
        known = ", ".join(DTYPES)
        raise RemoteProtocolError(
            f"unknown element type {name!r} of a tensor; there are {known}, bf16"
        )
    return numpy.dtype(DTYPES[name])
