"""tensors.py: arrays on the wire."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from bridge.errors import EncodeError, RemoteProtocolError
from bridge.wire.codec import Encoder, decode_value
from bridge.wire.tensors import DTYPES, MAX_RANK
from tests.equality import deep_equal
from tests.strategies import tensors
from tests.wire_messages import passed


def test_a_tensor_of_torch_becomes_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for its elements wherever they are: on a device, with or without gradients."""

    class Tensor:
        def numpy(self, *, force: bool = False) -> Any:
            return np.array([1.0, 2.0]) if force else pytest.fail("needs force=True")

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=Tensor))
    assert deep_equal(passed(Tensor()), np.array([1.0, 2.0]))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()])])
def test_an_array_of_something_else_is_refused(array: Any) -> None:
    with pytest.raises(
        EncodeError,
        match=rf"array of dtype {re.escape(str(array.dtype))} .*; tolist\(\) makes a list",
    ):
        Encoder().value(array)


def test_a_rank_beyond_the_highest_is_refused() -> None:
    if int(np.__version__.split(".")[0]) < 2:
        pytest.skip("NumPy 1 has no such rank")
    with pytest.raises(EncodeError, match="rank 33"):
        Encoder().value(np.zeros((1,) * (MAX_RANK + 1)))


def test_a_long_double_is_named() -> None:
    """Its Python value is itself; that must not be taken for a value nested too deeply."""
    with pytest.raises(EncodeError, match="longdouble"):
        Encoder().value(np.longdouble(1))


@given(tensors())
def test_tensors_survive(array: np.ndarray[Any, Any]) -> None:
    assert deep_equal(passed(array), array)


def test_every_element_type_has_a_row() -> None:
    """bf16 is not NumPy's own."""
    assert " ".join(DTYPES) == "u8 u16 u32 u64 s8 s16 s32 s64 f16 f32 f64 c64 c128"


def test_what_an_array_masks_is_not_sent() -> None:
    array = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(EncodeError, match=r"result\.a .* masked elements; filled\(\)"):
        Encoder().result(1, {"a": array})
    whole = np.ma.array([1.0, 2.0], mask=[False, False])
    assert decode_value(Encoder().value(whole)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [">i4", ">f8", ">u2", ">c8"])
def test_big_endian_arrays_arrive_little_endian(dtype: str) -> None:
    array = np.array([[1, 2], [3, 4]], dtype)
    assert deep_equal(passed(array), array.astype(np.dtype(dtype).newbyteorder("<")))


def test_arrays_that_lie_otherwise_in_memory_arrive_row_by_row() -> None:
    square = np.arange(12, dtype="int32").reshape(3, 4)
    for array in (square.T, square[::2, ::-1], np.asfortranarray(square)):
        assert deep_equal(passed(array), np.ascontiguousarray(array))


def test_booleans_arrive_as_u8() -> None:
    assert deep_equal(passed(np.array([True, False])), np.array([1, 0], "uint8"))


def test_an_array_that_arrived_cannot_be_written() -> None:
    """It is a view of the message."""
    assert passed(np.zeros(2)).flags.writeable is False


def test_bfloat16_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes.fromhex("c71a02 6266313600000000 0100000000000000 0100000000000000 c03f")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    monkeypatch.setitem(sys.modules, "torch", None)  # whose tensor it would be
    with pytest.raises(RemoteProtocolError, match="pip install ml_dtypes"):
        decode_value(data)
    stand_in = types.SimpleNamespace(bfloat16=np.uint16)
    monkeypatch.setitem(sys.modules, "ml_dtypes", stand_in)
    assert deep_equal(decode_value(data), np.array([0x3FC0], "uint16"))


def test_numpy_is_imported_by_the_first_tensor_only() -> None:
    """Neither other values nor values that cannot be encoded need it."""
    program = """if True:
        import sys
        from bridge.wire.codec import Encoder, decode_value
        value = [2**64, 1.5, "text", b"bytes", {1: None}, {2}]
        decode_value(Encoder().value(value))
        try:
            Encoder().value(object())
        except TypeError:
            pass
        assert "numpy" not in sys.modules
        tensor = bytes.fromhex("c7110275380000000000000000000000000000") + bytes([7])
        assert decode_value(tensor).tolist() == 7
        assert "numpy" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
