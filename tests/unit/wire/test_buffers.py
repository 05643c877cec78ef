"""Messages as rows of buffers: the same bytes as ever, and what is large is not copied."""

from __future__ import annotations

import os
import threading
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import EncodeError
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.writer import Writer
from bridge.wire.buffers import LARGE_BYTES, Parts, WholeCheck, holds_large
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.values import to_wire
from tests.equality import deep_equal
from tests.strategies import wire_values
from tests.waiting import in_thread, join

LARGE = bytes(range(256)) * (LARGE_BYTES // 256)


def frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


def packed(result: Any) -> bytes:
    """The response with this result as msgpack itself packs it."""
    data: bytes = msgpack.packb([1, 7, None, result], default=to_wire)
    return data


@st.composite
def with_large(draw: st.DrawFn) -> Any:
    """Values with something large at some place."""
    value: Any = draw(
        st.sampled_from(
            [
                LARGE,
                LARGE + b"x",
                bytearray(LARGE),
                memoryview(LARGE),
                "ä" * LARGE_BYTES,
                np.arange(LARGE_BYTES // 4, dtype="f4").reshape(2, -1),
            ]
        )
    )
    for _ in range(draw(st.integers(0, 2))):
        beside = draw(st.lists(wire_values(), max_size=3))
        value = draw(
            st.sampled_from(
                [
                    [*beside, value],
                    (value, *beside),
                    {"a": value, 1: beside},
                    dict.fromkeys(range(20), value),
                ]
            )
        )
    return value


@given(with_large())
def test_parts_are_the_bytes_that_msgpack_makes(value):
    message = Encoder().result(7, value)
    assert bytes(message) == packed(value)
    assert len(message) == len(packed(value))


@given(with_large())
def test_an_item_with_large_data_can_be_read(value):
    message = decode_message(bytes(Encoder().item(7, value)))
    expected = msgpack.unpackb(packed(value), strict_map_key=False, ext_hook=msgpack.ExtType)
    sent = msgpack.unpackb(
        packed(message.params[1]), strict_map_key=False, ext_hook=msgpack.ExtType
    )
    assert message.params[0] == 7
    assert deep_equal(sent[3], expected[3])


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [1, x], lambda x: {"data": x}])
@pytest.mark.parametrize(
    ("large", "address"),
    [
        (LARGE, lambda x: np.frombuffer(x, "u1").ctypes.data),
        (frozen(np.ones(LARGE_BYTES, "f4")), lambda x: x.ctypes.data),
        (np.frombuffer(LARGE, "f8").reshape(2, -1), lambda x: x.ctypes.data),
    ],
    ids=["bytes", "frozen array", "array that was received"],
)
def test_what_cannot_change_is_not_copied(wrap, large, address):
    message = Encoder().result(7, wrap(large))
    addresses = [np.frombuffer(part, "u1").ctypes.data for part in message.buffers]
    assert address(large) in addresses


def writeable_view() -> Any:
    view = np.ones(LARGE_BYTES, "f4")[:]
    view.flags.writeable = False
    return view


@pytest.mark.parametrize("array", [np.ones(LARGE_BYTES, "f4"), writeable_view()])
def test_an_array_that_its_owner_can_change_is_sent_as_it_is_now(array):
    message = Encoder().result(7, array)
    (array if array.base is None else array.base)[:] = 2
    assert decode_message(bytes(message)).result.max() == 1


@pytest.mark.parametrize(
    "array",
    [
        np.ones((300, 300), "f4").T,
        np.ones((300, 300), "f4")[::2],
        np.ones(LARGE_BYTES, ">f4"),
        np.ones(LARGE_BYTES, "?"),
        np.ones(LARGE_BYTES, "f2"),
    ],
    ids=["Fortran order", "strided", "big-endian", "bool", "half"],
)
def test_arrays_of_any_layout_arrive(array):
    received = decode_message(bytes(Encoder().result(7, array))).result
    assert np.array_equal(received, array)


def test_small_values_are_bytes():
    for value in (None, {"x": 1}, b"x" * (LARGE_BYTES - 1), list(range(99)), "x" * 99, [{}] * 99):
        assert not holds_large(value)
        assert type(Encoder().result(7, value)) is bytes


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([LARGE, object()], r"result\[1\] cannot be encoded"),
        ({"a": LARGE, "b": {"c": object()}}, r"result\.b\.c cannot be encoded"),
        ([LARGE, np.full(LARGE_BYTES, object())], r"result\[1\] cannot be encoded: no tensor"),
    ],
)
def test_an_error_beside_large_data_names_its_place(value, path):
    encoder = Encoder()
    with pytest.raises(EncodeError, match=path):
        encoder.result(7, value)
    assert decode_message(bytes(encoder.result(7, [LARGE]))).result == [LARGE]


def test_a_writer_takes_more_buffers_than_one_system_call_does():
    parts = Parts()
    for number in range(3000):
        parts.add(b"%d," % number)
        parts.add_large(LARGE[:100])
    small = b"after"
    source, sink = os.pipe()
    received = bytearray()

    def read() -> None:
        with open(source, "rb") as file:
            received.extend(file.read())

    reader = in_thread(read)
    writer = Writer(sink, threading.Event().set)
    writer.send(parts)  # type: ignore[arg-type]
    writer.send(small)
    writer.flush_and_wait()
    os.close(sink)
    join(reader)
    assert bytes(received) == frame(bytes(parts)) + frame(small)


@given(st.lists(st.tuples(wire_values(), st.integers(-3, 3))))
def test_one_check_tells_whole_values_from_others_whatever_came_before(values):
    check = WholeCheck()
    for value, change in values:
        data = Encoder().value(value)
        if change > 0:
            data += b"\x01" * change
        elif change < 0:
            data = data[:change]
        if data:
            assert check.is_whole(data) is (change == 0), (value, change)


def test_a_check_goes_on_after_a_long_value_and_one_that_is_nested_deeply():
    check, small = WholeCheck(), msgpack.packb({"x": [1, 2]})
    deep = b"\x91" * 5000 + b"\x01"
    for data in (small, msgpack.packb(bytes(1 << 20)), small, deep, small, small):
        assert check.is_whole(data)
    assert not check.is_whole(small + small)
    assert not check.is_whole(small[:-1])
    assert check.is_whole(small)
    assert [check.is_whole(small * count) for count in (1, 2, 1)] == [True, False, True]
