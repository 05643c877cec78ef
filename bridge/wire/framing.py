"""Bytes to ``{packet, 4}`` frames and back: a 4-byte big-endian length, then that many bytes.

Specification: https://www.erlang.org/doc/apps/erts/erlang.html#open_port/2, option ``{packet, N}``.
A frame may be a *batch*: the byte ``BATCH``, with which no message begins, and then whole frames. An
Erlang port makes one message of each frame, and writes each by itself, so many small ones cost more
than what is in them.
"""

from __future__ import annotations

import struct

HEADER_BYTES = 4
#: One read takes at most this much: the usual capacity of a pipe, and small enough for the cache.
READ_BYTES = 65_536
#: What a batch begins with: MessagePack means nothing by it.
BATCH = 0xC1
#: What stands in front of the frames of a batch.
BATCH_HEADER_BYTES = HEADER_BYTES + 1
#: How much of a refused frame is kept to find out whose request it was.
PREFIX_BYTES = 16

_read_header = struct.Struct(">I").unpack_from
encode_header = struct.Struct(">I").pack
_write_header = struct.Struct(">I").pack_into


class OversizedFrame:
    """Stands in the place of a frame that was refused on its header and is being skipped.

    ``length``: what the header announced, in bytes. ``prefix``: the first ``PREFIX_BYTES`` of it.
    """

    __slots__ = ("length", "prefix")

    def __init__(self, length: int, prefix: bytes) -> None:
        self.length = length
        self.prefix = prefix


class FrameDecoder:
    """Cuts a stream of bytes into frames. One thread uses it.

    As with ``asyncio.BufferedProtocol``, the reader asks for a buffer, fills some of it and says
    how much. Small frames are cut out of one buffer that is used over and over; a frame that is
    larger gets a buffer of its own size as soon as its header is known, so that its bytes are
    never concatenated.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._small = bytearray(READ_BYTES)
        self._view = memoryview(self._small)
        self._start = self._end = 0  # the bytes in _small that no frame has taken yet
        self._large: bytearray | None = None
        self._filled = 0  # bytes received into _large
        self._skip = 0  # bytes still to come of a refused frame

    def get_buffer(self) -> memoryview:
        """Where the next bytes belong; never empty. The frames returned before become invalid."""
        if self._start == self._end and self._large is None:
            # nearly always: all that came were whole frames
            self._start = self._end = 0
            return self._view
        if self._start:
            rest = self._end - self._start
            self._small[:rest] = self._small[self._start : self._end]
            self._start, self._end = 0, rest
        if self._large is None and self._end:
            self._large = self._begin_large()
        if self._large is not None:
            return memoryview(self._large)[self._filled :]
        return self._view[self._end :]

    def buffer_updated(self, count: int) -> list[memoryview | OversizedFrame]:
        """The frames that ``count`` more bytes complete, in order.

        A frame is a view that is valid until the next call of ``get_buffer``.
        """
        if self._large is None:
            self._end += count
            return self._cut()
        self._filled += count
        if self._filled < len(self._large):
            return []
        frame = memoryview(self._large)
        self._large = None
        return _open_batch(frame) if frame[0] == BATCH else [frame]

    def _cut(self) -> list[memoryview | OversizedFrame]:
        view, small, end = self._view, self._small, self._end
        frames: list[memoryview | OversizedFrame] = []
        start = self._start
        if self._skip:
            start = min(start + self._skip, end)
            self._skip -= start - self._start
        while end - start >= HEADER_BYTES:
            (length,) = _read_header(view, start)
            body = start + HEADER_BYTES
            stop = body + length
            if length > self._max_frame_bytes:
                if end < min(stop, body + PREFIX_BYTES):
                    break
                frames.append(
                    OversizedFrame(length, bytes(view[body : min(stop, body + PREFIX_BYTES)]))
                )
                start = min(stop, end)
                self._skip = stop - start
            elif stop <= end:
                if length and small[body] == BATCH:
                    frames += _open_batch(view[body:stop])
                else:
                    frames.append(view[body:stop])
                start = stop
            else:
                break
        self._start = start
        return frames

    def _begin_large(self) -> bytearray | None:
        """A buffer for the frame that has begun in ``_small`` but does not fit there, or None."""
        if self._end < HEADER_BYTES:
            return None
        (length,) = _read_header(self._small)
        if not READ_BYTES - HEADER_BYTES < length <= self._max_frame_bytes:
            return None
        large = bytearray(length)
        self._filled = self._end - HEADER_BYTES
        large[: self._filled] = self._small[HEADER_BYTES : self._end]
        self._end = 0
        return large


def begin_batch(data: bytearray) -> None:
    """Make one frame of many, in front of which ``BATCH_HEADER_BYTES`` were left free."""
    _write_header(data, 0, len(data) - HEADER_BYTES)
    data[HEADER_BYTES] = BATCH


def _open_batch(batch: memoryview) -> list[memoryview | OversizedFrame]:
    """The frames in a batch. One that they do not fill stays as it is: it is no message."""
    frames: list[memoryview | OversizedFrame] = []
    start, end = 1, len(batch)
    while end - start >= HEADER_BYTES:
        (length,) = _read_header(batch, start)
        body = start + HEADER_BYTES
        start = body + length
        if start > end:
            break
        frames.append(batch[body:start])
    return frames if frames and start == end else [batch]
