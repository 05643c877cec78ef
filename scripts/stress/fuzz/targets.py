"""Functions of any bytes: each returns, or raises because a rule was broken.

Exceptions other than the documented ones escape too. Nothing here is random: what bytes are to be
cut at, and in which order things happen, is in the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from bridge.errors import EncodeError, RemoteProtocolError
from bridge.wire import framing
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.framing import FrameDecoder, OversizedFrame
from bridge.wire.json_text import decode_json, encode_json
from bridge.wire.json_values import to_plain
from bridge.wire.messages import Request
from bridge.wire.peeking import peek_msgid

from .books import keep_books
from .reference import Frame, Shape, split
from .rules import rule, small_buffers

#: What is nested less deeply is surely coded; beyond, it depends on what else is in the message.
_SURELY_CODED = 300


# -- framing --------------------------------------------------------------------------------


def cut_frames(data: bytes) -> None:
    """Frames come out as a plain reading of the stream has them, wherever it is cut.

    The first byte is the limit of a frame, the second says where to cut.
    """
    if len(data) < 2:
        return
    limit, seed, stream = data[0], data[1], data[2:]
    expected = split(stream, limit)
    with small_buffers():
        for most in (1 if len(stream) < 200 else 5, 64, 1 << 20):
            found = _feed(FrameDecoder(limit), stream, limit, Random(seed), most)
            rule(found == expected, "frames differ when cut at most at", most, found, expected)


def _feed(
    decoder: FrameDecoder, stream: bytes, limit: int, random: Random, most: int
) -> list[Frame]:
    frames: list[Frame] = []
    rest = stream
    while rest:
        buffer = decoder.get_buffer()
        rule(0 < len(buffer) <= max(limit, framing.READ_BYTES), "a buffer of", len(buffer))
        count = min(len(rest), len(buffer), random.randint(1, most))
        buffer[:count] = rest[:count]
        rest = rest[count:]
        frames += [
            (frame.length, frame.prefix) if isinstance(frame, OversizedFrame) else bytes(frame)
            for frame in decoder.buffer_updated(count)
        ]
    return frames


# -- codec ----------------------------------------------------------------------------------


def code_values(data: bytes) -> None:
    """What is decoded agrees with the shape of the bytes, and is stable once it is encoded."""
    shape = Shape(data)
    message = _decode_message(data, shape)
    try:
        value = decode_value(memoryview(data))
    except RemoteProtocolError as error:
        rule(message is None, "a message that is no value", data)
        rule(str(error), "a refusal without words", data)
        surely_good = shape.complete and shape.plain and shape.depth <= _SURELY_CODED
        rule(not surely_good, "a good value was refused:", str(error))
        return
    rule(shape.complete, "bytes that are not one value were accepted", data)
    encoder = Encoder()
    try:
        first = encoder.value(value)
    except EncodeError as error:
        rule(shape.depth > _SURELY_CODED, "decoded, but not encoded:", str(error))
        return
    rule(encoder.value(decode_value(first)) == first, "not stable", first)
    if shape.depth > _SURELY_CODED:
        return
    with small_buffers():
        for payload in (encoder.result(1, value), encoder.item(1, value)):
            scattered = decode_value(bytes(payload))
            again = scattered[3] if scattered[0] == 1 else scattered[2][1]
            rule(encoder.value(again) == first, "scattered into parts it is another value", first)
            rule(len(payload) == len(bytes(payload)), "a wrong length", len(payload))


def _decode_message(data: bytes, shape: Shape) -> Any:
    try:
        message = decode_message(memoryview(data))
    except RemoteProtocolError as error:
        rule(error.msgid == peek_msgid(data), "the id of a refusal", error.msgid)
        rule(error.msgid is None or 0 <= error.msgid < 2**64, "an impossible id", error.msgid)
        return None
    rule(shape.complete, "a message of bytes that are not one value", data)
    if isinstance(message, Request):
        usual = data[0] in (0x94, 0x95) and data[1] == 0 and data[2] not in range(0xD0, 0xD4)
        rule(peek_msgid(data) == (message.msgid if usual else None), "the id seen early", data[:11])
        if message.options is None and shape.depth <= _SURELY_CODED:
            encoded = Encoder().request(message.msgid, message.method, message.params)
            again = decode_message(encoded)
            rule(again.msgid == message.msgid and again.method == message.method, "another request")
    return message


def code_json(data: bytes) -> None:
    """The JSON forms refuse with words or make what JSON readers read, of any value."""
    try:
        value = decode_json(data, "input")
    except RemoteProtocolError:
        pass
    else:
        _check_json(value)
    try:
        value = decode_value(data)
    except RemoteProtocolError:
        return
    _check_json(value)


def _check_json(value: Any) -> None:
    try:
        text = encode_json(value, "value")
    except EncodeError as error:
        rule(str(error).count("value"), "a refusal that does not say where:", str(error))
    else:
        again = encode_json(decode_json(text, "text"), "value")
        rule(again == text or b'"' in text, "not stable", text, again)
    try:
        plain = to_plain(value, "value")
    except EncodeError:
        return
    json.dumps(plain, allow_nan=False)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "framing": cut_frames,
    "codec": code_values,
    "json": code_json,
    "connection": keep_books,
}
