"""Tensors: arrays of NumPy to extension type 2 and back.

The payload is specified byte by byte in ``protos/stdio.md``: element type, rank, shape, elements.
NumPy is imported when the first tensor arrives; what is sent can only be an array if it is here.
"""

from __future__ import annotations

import struct
import sys

from msgpack import ExtType

from ..errors import RemoteProtocolError, shorten
from ..typing_names import Any
from .extensions import TENSOR
from .loaded import loaded_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy

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
_KNOWN = ", ".join(DTYPES) + ", bf16 and bool"
#: NumPy's own limit is 32 dimensions up to version 1 and 64 since; nobody needs more than this.
MAX_RANK = 32
_MAX_EMPTY_LISTS = 1_000_000
_MAX_REASON = 200
#: One element of the payload after another: 8 bytes of name, then unsigned integers.
_NAME_BYTES = 8


def encode_tensor(array: numpy.ndarray[Any, Any]) -> ExtType:
    """A tensor as an extension type.

    Raises:
        TypeError: There is no such tensor on the wire.
    """
    header, elements = _split(array)
    return ExtType(TENSOR, b"".join((header, elements.data)))


def encode_torch(tensor: Any) -> ExtType:
    """A tensor of torch as an extension type; one that is not in memory, or not whole, is fetched.

    Raises:
        TypeError: There is no such tensor on the wire.
    """
    torch = sys.modules["torch"]
    try:
        if str(getattr(tensor, "dtype", "")) != "torch.bfloat16":
            return encode_tensor(tensor.numpy(force=True))
        # NumPy has no bfloat16, but its bits; resolve_conj() and the like have no meaning here
        bits = tensor.detach().cpu().contiguous().view(torch.int16).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        # sparse, quantized, nested, on the device "meta", of eight bits and less
        raise TypeError(
            f"no tensor on the wire for one of torch with {tensor.dtype}, layout {tensor.layout}: "
            f"{shorten(str(error), _MAX_REASON)}; to_dense(), dequantize() or to(torch.float32) makes one"
        ) from None
    header, elements = _header("bf16", bits), bits.reshape(-1).view("u1")
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


def split_whole(array: numpy.ndarray[Any, Any]) -> tuple[bytes, numpy.ndarray[Any, Any]]:
    """The same for elements that are copied at once: what they are now, as an array of bytes."""
    return _split(array)


def decode_tensor(data: bytes, elements: Any = None) -> numpy.ndarray[Any, Any]:
    """The array in the payload of an extension type: a read-only view of ``data``.

    Args:
        data: The payload.
        elements: Where the elements are if they do not stand in ``data``; it is a view of these then.

    Of bf16, which NumPy lacks, it is one of the package ml_dtypes; without that a tensor of torch, if
    the program has imported it.

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
    given = len(data) - start if elements is None else len(data) - start + len(elements)
    if given != size or (elements is not None and len(data) > start):
        raise RemoteProtocolError(
            f"a tensor {name} of shape {list(shape)} has {size} bytes of elements, got {given}"
        )
    import numpy

    # a read-only view of the message: no copy
    if elements is None:
        array = numpy.frombuffer(data, dtype, offset=start).reshape(shape)
    else:
        array = numpy.frombuffer(elements, dtype).reshape(shape)
    return bfloat16_of_torch(array) if name == "bf16" and dtype.kind == "i" else array


def bfloat16_of_torch(bits: Any) -> Any:
    """A tensor of torch, which owns its elements, of the bits of bfloat16 as an array of integers."""
    torch = sys.modules["torch"]
    return torch.from_numpy(bits.astype("i2")).view(torch.bfloat16)


def decode_for_json(data: bytes) -> Any:
    """As ``decode_tensor``, but elements of bf16 as f32, for which no further package is needed."""
    if not data.startswith(b"bf16\0"):
        return decode_tensor(data)
    bits = decode_tensor(b"u16\0\0\0\0\0" + data[_NAME_BYTES:]).astype("<u4")
    bits *= bits.dtype.type(1 << 16)  # in place, so that an array of rank 0 stays one
    return bits.view("<f4")


def to_lists(array: Any) -> Any:
    """An array, a tensor or a scalar of theirs as nested lists: the form in JSON.

    Raises:
        TypeError: It has no elements, but so many lists that they would fill the memory; or its
            elements are complex.
    """
    lists = 1
    for dimension in getattr(array, "shape", ()):
        if dimension == 0 and lists > _MAX_EMPTY_LISTS:
            raise TypeError(f"an array of shape {tuple(array.shape)} is {lists} empty lists")
        lists *= dimension
    if lists and "complex" in str(getattr(array, "dtype", "")):
        raise TypeError(
            "JSON has no complex numbers; [array.real, array.imag] are two arrays that it has, and "
            "MessagePack takes the array as it is"
        )
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
    if isinstance(array, loaded_class("numpy.ma", "MaskedArray")):
        masked = sys.modules["numpy.ma"]
        if masked.is_masked(array):
            raise TypeError(
                "no tensor on the wire for an array with masked elements; filled() replaces these, "
                "tolist() makes them nil"
            )
        array = masked.getdata(array)
    known = array.dtype.kind in "biufc"  # others may have no order of bytes to ask for
    name = _TYPE_NAMES.get(array.dtype.newbyteorder("<").str) if known else None
    if array.dtype.name == "bfloat16":
        name = "bf16"
    if name is None or array.ndim > MAX_RANK:
        from .refusals import array_remedy

        raise TypeError(
            f"no tensor on the wire for an array of {_described(array)}; "
            f"{array_remedy(array, _KNOWN, MAX_RANK)}"
        )
    little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return _header(name, array), little_endian.reshape(-1).view("u1")


def _described(array: Any) -> str:
    if array.dtype.kind in "mM":
        return str(array.dtype)
    return f"dtype {array.dtype} and rank {array.ndim}"


def _header(name: str, array: Any) -> bytes:
    return name.encode().ljust(_NAME_BYTES, b"\0") + struct.pack(
        f"<{1 + array.ndim}Q", array.ndim, *array.shape
    )


def _dtype(name: str) -> Any:
    """The dtype of elements; integers of 16 bits for bf16 that torch shall have."""
    try:
        import numpy

        if name == "bf16":
            try:
                import ml_dtypes  # NumPy has no bfloat16 of its own
            except ImportError:
                if hasattr(sys.modules.get("torch"), "bfloat16"):
                    return numpy.dtype("<i2")
                raise
            return numpy.dtype(ml_dtypes.bfloat16)
    except ImportError as error:
        from ..requirements import Requirement, how_to_install

        package = error.name or "numpy"
        or_torch = ", or torch, imported by the adapter" if package == "ml_dtypes" else ""
        raise RemoteProtocolError(
            f"a tensor needs the Python package {package}{or_torch}, which is not installed: "
            f"{how_to_install([Requirement(package)])}"
        ) from None
    if name not in DTYPES:
        known = ", ".join(DTYPES)
        raise RemoteProtocolError(
            f"unknown element type {name!r} of a tensor; there are {known}, bf16"
        )
    return numpy.dtype(DTYPES[name])
