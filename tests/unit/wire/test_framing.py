"""framing.py: whatever the cuts, the same frames come out."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire import framing
from bridge.wire.framing import (
    HEADER_BYTES,
    PREFIX_BYTES,
    READ_BYTES,
    FrameDecoder,
    OversizedFrame,
    encode_header,
)
from tests.strategies import chunks

LIMIT = 4 * READ_BYTES


def encode(*payloads: bytes) -> bytes:
    return b"".join(encode_header(len(payload)) + payload for payload in payloads)


def feed(decoder: FrameDecoder, *pieces: bytes) -> list[Any]:
    """The frames in these pieces; a refused one as its length and prefix."""
    found: list[Any] = []
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            buffer = decoder.get_buffer()
            assert len(buffer) > 0, "get_buffer() must never be empty"
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            found += [
                (frame.length, frame.prefix) if isinstance(frame, OversizedFrame) else bytes(frame)
                for frame in decoder.buffer_updated(count)
            ]
            rest = rest[count:]
    return found


def expected(payloads: list[bytes], limit: int) -> list[Any]:
    return [
        payload if len(payload) <= limit else (len(payload), payload[:PREFIX_BYTES])
        for payload in payloads
    ]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def pattern(size: int) -> bytes:
    """Bytes in which a shift by anything but 251 shows."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def test_the_header_is_big_endian() -> None:
    assert encode_header(0x01020304) == b"\1\2\3\4"


@pytest.mark.parametrize("payloads", [[b"a"], [b""], [b"", b""], [b"abc", b"", b"d"]])
def test_frames_in_one_piece_and_byte_by_byte(payloads: list[bytes]) -> None:
    data = encode(*payloads)
    assert feed(FrameDecoder(LIMIT), data) == payloads
    assert feed(FrameDecoder(LIMIT), *one_by_one(data)) == payloads


def test_an_empty_frame_is_a_frame() -> None:
    assert feed(FrameDecoder(LIMIT), bytes(4)) == [b""]


def test_trailing_data_waits_for_its_rest() -> None:
    """A frame and a half give one frame; the other half gives the second."""
    data = encode(b"first", b"second")
    decoder = FrameDecoder(LIMIT)
    assert feed(decoder, data[:-3]) == [b"first"]
    assert feed(decoder, data[-3:]) == [b"second"]


def test_a_header_alone_is_no_frame() -> None:
    decoder = FrameDecoder(LIMIT)
    assert feed(decoder, encode_header(2)) == []
    assert feed(decoder, b"ab") == [b"ab"]


def test_a_header_may_come_in_pieces() -> None:
    decoder = FrameDecoder(LIMIT)
    assert feed(decoder, b"\0\0", b"\0") == []
    assert feed(decoder, b"\1x") == [b"x"]


@given(st.data(), st.lists(st.binary(max_size=300), max_size=8))
def test_any_cuts_give_the_same_frames(data: st.DataObject, payloads: list[bytes]) -> None:
    pieces = data.draw(chunks(encode(*payloads)))
    assert feed(FrameDecoder(LIMIT), *pieces) == payloads


@given(st.data(), st.lists(st.binary(max_size=120), max_size=8), st.integers(0, 100))
def test_any_cuts_give_the_same_frames_in_a_small_buffer(
    data: st.DataObject, payloads: list[bytes], limit: int
) -> None:
    """With reads of 32 bytes, small, large and refused frames follow each other in every order."""
    stream = encode(*payloads)
    with mock.patch.object(framing, "READ_BYTES", 32):
        assert feed(FrameDecoder(limit), *data.draw(chunks(stream))) == expected(payloads, limit)
        assert feed(FrameDecoder(limit), *one_by_one(stream)) == expected(payloads, limit)


@pytest.mark.parametrize("offset", [-6, -5, -4, -3, -1, 0, 1, READ_BYTES, 3 * READ_BYTES])
def test_frames_about_as_large_as_the_buffer(offset: int) -> None:
    """Where a frame outgrows the buffer, with and without one before it, nothing is lost."""
    large = pattern(READ_BYTES + offset)
    for payloads in ([large], [b"before", large, b"after"], [large, large]):
        data = encode(*payloads)
        third = len(data) // 3
        assert feed(FrameDecoder(LIMIT), data) == payloads
        assert feed(FrameDecoder(LIMIT), data[:2], data[2:third], data[third:]) == payloads


@given(st.data())
def test_large_frames_in_random_chunks(data: st.DataObject) -> None:
    payloads = [b"before", pattern(READ_BYTES + 17), b"", pattern(2 * READ_BYTES), b"after"]
    assert feed(FrameDecoder(LIMIT), *data.draw(chunks(encode(*payloads)))) == payloads


@pytest.mark.parametrize("limit", [0, 1, 100, READ_BYTES - 4, READ_BYTES - 3, READ_BYTES, LIMIT])
def test_the_limit_itself_is_allowed(limit: int) -> None:
    at, beyond = pattern(limit), pattern(limit + 1)
    assert feed(FrameDecoder(limit), encode(at, beyond, at)) == expected([at, beyond, at], limit)


def test_a_refused_frame_is_reported_before_it_is_complete() -> None:
    """A frame of 4 GiB is refused once its prefix is here, not when its last byte is."""
    decoder = FrameDecoder(10)
    assert feed(decoder, encode_header(2**32 - 1)) == []
    assert feed(decoder, pattern(PREFIX_BYTES - 1)) == []
    assert feed(decoder, b"!") == [(2**32 - 1, pattern(PREFIX_BYTES - 1) + b"!")]


def test_a_refused_frame_shorter_than_the_prefix_is_reported_whole() -> None:
    assert feed(FrameDecoder(1), encode(b"ab", b"c")) == [(2, b"ab"), b"c"]


def test_a_refused_frame_is_skipped_without_memory() -> None:
    """The buffer stays the small one while a frame beyond the limit passes by."""
    decoder = FrameDecoder(10)
    feed(decoder, encode_header(50 * READ_BYTES))
    for _ in range(50):
        assert len(decoder.get_buffer()) <= READ_BYTES
        feed(decoder, bytes(READ_BYTES))
    assert feed(decoder, encode(b"after")) == [b"after"]


def test_a_refused_frame_that_looks_like_frames_hides_none() -> None:
    """What is skipped is never read as a header."""
    inner = encode(b"x") * 20
    assert feed(FrameDecoder(10), encode(inner, b"after")) == [
        (len(inner), inner[:PREFIX_BYTES]),
        b"after",
    ]


def test_the_frames_of_one_update_are_valid_together() -> None:
    """Views stay as they are until the next get_buffer()."""
    payloads = [pattern(100), b"b", b"", pattern(1000)]
    decoder = FrameDecoder(LIMIT)
    data = encode(*payloads)
    decoder.get_buffer()[: len(data)] = data
    assert [bytes(frame) for frame in decoder.buffer_updated(len(data))] == payloads


def test_a_large_frame_is_a_view_until_the_next_buffer() -> None:
    large = pattern(READ_BYTES)
    decoder = FrameDecoder(LIMIT)
    assert feed(decoder, encode_header(len(large)) + large[:-1]) == []
    decoder.get_buffer()[:1] = large[-1:]
    (frame,) = decoder.buffer_updated(1)
    assert bytes(frame) == large


def test_a_large_frame_never_shares_its_buffer_with_the_next_one() -> None:
    """get_buffer() ends at the end of a large frame, however much the reader could take."""
    decoder = FrameDecoder(LIMIT)
    feed(decoder, encode_header(READ_BYTES))
    assert len(decoder.get_buffer()) == READ_BYTES


def test_asking_twice_for_the_buffer_changes_nothing() -> None:
    decoder = FrameDecoder(LIMIT)
    assert feed(decoder, encode(b"one", b"two")[: HEADER_BYTES + 3 + HEADER_BYTES + 1]) == [b"one"]
    assert len(decoder.get_buffer()) == len(decoder.get_buffer())
    assert feed(decoder, b"wo") == [b"two"]


def test_a_stream_that_is_no_protocol_is_one_refused_frame() -> None:
    """Any four bytes are a header: whatever prints into the pipe announces a huge frame."""
    assert feed(FrameDecoder(1000), pattern(READ_BYTES)) == [(0x00010203, pattern(20)[4:])]


def batch(*payloads: bytes) -> bytes:
    return b"\xc1" + encode(*payloads)


@given(st.data(), st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=6), max_size=4))
def test_a_batch_is_the_frames_in_it(data: st.DataObject, groups: list[list[bytes]]) -> None:
    """However it is cut, whether it fits into the buffer or not, and whatever comes around it."""
    stream = encode(b"before", *(batch(*group) for group in groups), b"after")
    frames = [b"before", *(frame for group in groups for frame in group), b"after"]
    for size in (32, READ_BYTES):
        with mock.patch.object(framing, "READ_BYTES", size):
            assert feed(FrameDecoder(LIMIT), *data.draw(chunks(stream))) == frames


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        batch(b"whole")[:-1],
        batch(b"whole") + b"\0",
        b"\xc1" + encode_header(1 << 31) + b"short",
    ],
)
def test_a_batch_that_its_frames_do_not_fill_is_one_frame(payload: bytes) -> None:
    """It is no message, and is refused as one."""
    assert feed(FrameDecoder(LIMIT), encode(payload, b"after")) == [payload, b"after"]


def test_batches_are_not_nested() -> None:
    assert feed(FrameDecoder(LIMIT), encode(batch(batch(b"inner")))) == [batch(b"inner")]
