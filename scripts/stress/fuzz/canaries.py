"""Well-formed requests among the mutants, and what must come back for each: exactly once, rightly.

Their ids begin with four bytes that no mutant has, so nothing else is answered under them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgpack import ExtType, packb, unpackb

from bridge.wire.framing import encode_header

from .mutations import CANARY_ID, tensor

#: How what the bridge sends about a canary begins.
RESPONSE = b"\x94\x01" + CANARY_ID
ITEM = b"\x93\x02\xa6$/item\x92" + CANARY_ID

#: The answer to a request: the messages in order, without their id, or the code of an error.
Answer = list[tuple[bytes, bytes]] | str

_STREAM = packb("count") + packb([3]) + packb({"stream": {"items": 9, "bytes": 9999}})
_VALUES: list[Any] = [
    None, False, 42, -(2**63), 2**64 - 1, 0.5, "text", "ünïcödé", b"\xff\0", [], {}, [1, [2, {"a": 3}]],
    {"k": [None, "x" * 40]}, ExtType(1, b"\1\2" + bytes(12)), datetime(2026, 11, 23, tzinfo=UTC),
    tensor(b"f64", [1, 2], bytes(range(16))), tensor(b"u8", [0], b""), list(range(100)),
]  # fmt: skip


def _kinds() -> list[tuple[bytes, Answer]]:
    """Each kind of canary: what follows the id in the request, and what is expected."""

    def ends(*fields: Any) -> bytes:
        return b"".join(packb(field, datetime=True) for field in fields)

    def result(value: Any) -> tuple[bytes, bytes]:
        return RESPONSE, b"\xc0" + ends(value)

    kinds: list[tuple[bytes, Answer]] = []
    for value in _VALUES:
        kinds += [
            (ends("echo", [value]), [result(value)]),
            (ends("echo", {"value": value}), [result(value)]),
            (ends("$/ping", [value]), [result(value)]),
        ]
        if type(value) is not datetime:
            kinds.append((ends("on_worker", [value]), [result([value, False])]))
    items = [(ITEM, ends(number)) for number in range(3)]
    for _ in range(4):
        kinds += [
            (ends("alone", ["x"]), [result("x")]),
            (_STREAM, [*items, result(None)]),
            (ends("fail", ["no"]), "internal"),
            (ends("ecko", []), "not_found"),
            (ends("echo", [1, 2]), "invalid_argument"),
            (ends("$/never", []), "unimplemented"),
        ]
    return kinds


_KINDS = _kinds()


class Canaries:
    """Makes them and checks what comes back. ``trouble`` is told what is wrong, in words.

    ``make`` is for one thread, ``check`` for one other.
    """

    def __init__(self, trouble: Callable[[str], object]) -> None:
        self.made = self.answered = 0
        self._trouble = trouble
        self._awaited: dict[bytes, tuple[int, Answer]] = {}

    def make(self) -> bytes:
        """The frame of the next one."""
        kind = self.made % len(_KINDS)
        number = struct.pack(">I", self.made)
        request, answer = _KINDS[kind]
        self._awaited[number] = kind, answer[:] if isinstance(answer, list) else answer
        self.made += 1
        size = len(request) + 2 + len(CANARY_ID) + 4
        head = b"\x95\x00" if request.startswith(_STREAM) else b"\x94\x00"  # it has options
        return encode_header(size) + head + CANARY_ID + number + request

    def check(self, message: bytes, head: bytes) -> None:
        """A message about a canary came; ``head``: ``RESPONSE`` or ``ITEM``, with which it begins."""
        at = len(head) + 4
        number = message[len(head) : at]
        kind, expected = self._awaited.get(number, (-1, []))
        if not expected:
            self._trouble(f"an answer nobody waits for any more: {message[:80]!r}")
            return
        if isinstance(expected, str):
            error = unpackb(message)[2]
            right = head == RESPONSE and error is not None and error["code"] == expected
        else:
            right = (head, message[at:]) == expected.pop(0)
        if not right:
            self._trouble(f"a wrong answer to {_KINDS[kind][0]!r}: {message[:200]!r}")
        if head == RESPONSE:
            if expected and not isinstance(expected, str):
                self._trouble(f"the answer came before {expected!r}: {message[:80]!r}")
            del self._awaited[number]
            self.answered += 1
