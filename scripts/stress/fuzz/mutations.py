"""Good messages, and what becomes of them: the payloads of frames, whole as frames always.

Everything is drawn from a ``random.Random``: the same seed makes the same bytes. Two things never
occur: a request for the end (``$/shutdown``), and an id that begins as those of ``canaries``.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from random import Random
from typing import Any

from msgpack import ExtType, packb

#: The highest four bytes of the ids of canaries, as they stand on the wire. No mutant has them.
CANARY_ID = b"\xcf\xca\xfe\xca\xfe"
_FORBIDDEN = (b"$/shutdown", CANARY_ID)

_FORMATS = bytes(
    [*range(0xC0, 0xE0), 0x80, 0x81, 0x8F, 0x90, 0x91, 0x9F, 0xA0, 0xBF, 0x7F, 0xFF, 0]
)
_HUGE = [
    head + size
    for head in (b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9")
    for size in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x01\x00\x00")
]
_NUMBERS = [0, 1, 2, 32, 33, 2**16, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
_IDS = [packb(number) for number in _NUMBERS] + [b"\xff", b"\xd3" + b"\xff" * 8, b"\xc0", b"\xc3"]
_NOT_UTF8 = [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"]


def tensor(element_type: bytes, shape: list[int], elements: bytes) -> ExtType:
    """A tensor by its parts, whether they fit or not."""
    numbers = struct.pack(f"<{1 + len(shape)}Q", len(shape), *shape)
    return ExtType(2, element_type.ljust(8, b"\0") + numbers + elements)


_TENSOR = tensor(b"f32", [2, 3], bytes(range(24)))
_BIG = ExtType(1, b"\0" + b"\x01" + bytes(8))
_TIME = datetime(2026, 11, 23, 12, tzinfo=UTC)
_STREAM = {"stream": {"items": 4, "bytes": 4096}}

_VALUES: list[Any] = [
    None, True, 42, -7, 2**63, 1.5, float("nan"), "text", "ünïcödé", b"\0\xff", [1, [2, [3]]],
    {"a": 1, "b": {"c": []}}, _TENSOR, tensor(b"u8", [], b"\7"), tensor(b"s64", [0, 9], b""),
    _BIG, ExtType(1, b"\1" + b"\x80" + bytes(30)), _TIME, [_BIG, {"t": _TENSOR}],
]  # fmt: skip
_MESSAGES: list[Any] = [
    *([0, number, "echo", [value]] for number, value in enumerate(_VALUES)),
    [0, 30, "echo", {"value": "by name"}],
    [0, 200, "on_worker", [1]],
    [0, 70_000, "alone", ["x"]],
    [0, 2**40, "count", [3], _STREAM],
    [0, 33, "count", [8], {"stream": {"items": 0, "bytes": 0}}],
    [0, 34, "count", {"stop": 2}, {**_STREAM, "timeout_ms": 5000}],
    [0, 35, "fail", []],
    [0, 36, "fail", ["with words"]],
    [0, 37, "ecko", [1]],
    [0, 38, "echo", [1], {"timeout_ms": 0}],
    [0, 39, "on_worker", [1], {"timeout_ms": 0.5, "session": "s", "metadata": {"k": "v"}}],
    [0, 40, "echo", [1], {"colour": "red"}],
    [0, 41, "$/ping", ["x"]],
    [0, 42, "$/health", []],
    [0, 43, "$/teleport", []],
    [0, 44, "$/shutdow", []],
    [0, 45, "$/tools", []],
    [0, 46, "$/stats", []],
    *([2, "$/cancelRequest", [number]] for number in (3, 33, 34, 70_000)),
    [2, "$/credit", [33, 3, 1000]],
    [2, "$/credit", [34, 0, 0]],
    [2, "$/credit", [33, -1, 5]],
    [2, "$/hello", [1, 2, 3]],
    [2, "echo", [1]],
    [1, 5, None, "nobody asked"],
    [1, 6, {"code": "internal", "message": "no"}, None],
]
TEMPLATES: list[bytes] = [packb(message, datetime=True) for message in _MESSAGES]


# Each takes the source of chance and a payload; returns another one.


def _as_it_is(random: Random, data: bytes) -> bytes:
    return data


def _flip(random: Random, data: bytes) -> bytes:
    new = bytearray(data)
    new[int(random.random() * len(new))] ^= 1 << int(random.random() * 8)
    return bytes(new)


def _other_format(random: Random, data: bytes) -> bytes:
    new = bytearray(data)
    new[int(random.random() * len(new))] = _FORMATS[int(random.random() * len(_FORMATS))]
    return bytes(new)


def _random_bytes(random: Random, data: bytes) -> bytes:
    at = int(random.random() * len(data))
    return data[:at] + random.randbytes(int(random.random() * 12)) + data[at + 1 :]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: int(random.random() * len(data))]


def _append(random: Random, data: bytes) -> bytes:
    return data + random.randbytes(1 + int(random.random() * 8))


def _remove(random: Random, data: bytes) -> bytes:
    at = int(random.random() * len(data))
    return data[:at] + data[at + 1 + int(random.random() * 4) :]


def _repeat(random: Random, data: bytes) -> bytes:
    at = int(random.random() * len(data))
    piece = data[at : at + 1 + int(random.random() * 16)]
    return data[:at] + piece * (2 + int(random.random() * 3)) + data[at:]


def _splice(random: Random, data: bytes) -> bytes:
    other = TEMPLATES[int(random.random() * len(TEMPLATES))]
    return data[: int(random.random() * len(data))] + other[int(random.random() * len(other)) :]


def _nest_in(random: Random, data: bytes) -> bytes:
    """Another whole message in the place of one byte."""
    at = int(random.random() * len(data))
    return data[:at] + TEMPLATES[int(random.random() * len(TEMPLATES))] + data[at + 1 :]


def _announce_much(random: Random, data: bytes) -> bytes:
    at = int(random.random() * len(data))
    return data[:at] + _HUGE[int(random.random() * len(_HUGE))] + data[at + 1 :]


def _deepen(random: Random, data: bytes) -> bytes:
    # rarely so deep that decoders give up: it makes long frames
    levels = (2, 3, 10, 40, 300, 520, 990, 1030)[int(random.random() ** 3 * 8)]
    at = int(random.random() * len(data))
    return data[:at] + (b"\x91", b"\x81\x01")[random.random() < 0.3] * levels + data[at:]


def _other_id(random: Random, data: bytes) -> bytes:
    return data[:2] + _IDS[int(random.random() * len(_IDS))] + data[3:]


def _other_kind(random: Random, data: bytes) -> bytes:
    return data[:1] + b"\x00\x01\x02\x03\xc0"[int(random.random() * 5) :][:1] + data[2:]


def _other_size(random: Random, data: bytes) -> bytes:
    return bytes([0x90 + int(random.random() * 8)]) + data[1:]


def _not_utf8(random: Random, data: bytes) -> bytes:
    new = _NOT_UTF8[int(random.random() * len(_NOT_UTF8))]
    at = int(random.random() * max(1, len(data) - len(new)))
    return data[:at] + new + data[at + len(new) :]


def _impossible_tensor(random: Random, data: bytes) -> bytes:
    shape = [random.choice(_NUMBERS) for _ in range(int(random.random() * 4))]
    name = random.choice((b"f32", b"u8", b"s64", b"c128", b"bf16", b"x9", b"", b"\xff" * 8))
    value = tensor(name, shape, bytes(int(random.random() * 24)))
    return bytes(packb([0, 50, "echo", [value]]))


def _impossible_number(random: Random, data: bytes) -> bytes:
    number = random.randbytes(random.randrange(20))
    kind = random.choice((b"\x01", b"\xff", b"\x00", b"\x80"))
    return b"\x94\x00\x33\xa4echo\x91\xc7" + bytes([len(number)]) + kind + number


def _garbage(random: Random, data: bytes) -> bytes:
    return random.randbytes(int(random.random() * 40))


_MUTATIONS = (
    _as_it_is, _flip, _flip, _other_format, _other_format, _random_bytes, _truncate, _append,
    _remove, _repeat, _splice, _splice, _nest_in, _announce_much, _deepen, _other_id, _other_kind,
    _other_size, _not_utf8, _impossible_tensor, _impossible_number, _garbage,
)  # fmt: skip


def mutant(random: Random) -> bytes:
    """One payload: a good message after one mutation, or a few."""
    while True:
        chance = random.random
        data = TEMPLATES[int(chance() * len(TEMPLATES))]
        data = _MUTATIONS[int(chance() * len(_MUTATIONS))](random, data)
        while data and chance() < 0.25:
            data = _MUTATIONS[int(chance() * len(_MUTATIONS))](random, data)
        if not any(forbidden in data for forbidden in _FORBIDDEN):
            return data
