"""The core without I/O: vectors, exact comparison, and what ``bridge.testing`` has for it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import RemoteProtocolError
from bridge.testing.connection_pair import ConnectionPair as ConnectionPair
from bridge.testing.connection_pair import describe as describe
from bridge.testing.connection_pair import frame as frame
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.messages import Notification, Request, Response

VECTORS = Path(__file__).parent / "vectors"
#: The names that a literal of a vector or of the protocol's examples may use.
LITERALS = {
    "nan": math.nan,
    "inf": math.inf,
    "datetime": datetime,
    "timezone": timezone,
    "UTC": UTC,
    "np": np,
    "array": np.array,
}


def literal(text: str) -> Any:
    """The value that a literal in a vector or in the protocol's examples stands for."""
    return eval(text, dict(LITERALS))


def encode_message(message: Request | Response | Notification) -> bytes:
    """The payload of a message without options."""
    encoder = Encoder()
    if isinstance(message, Request):
        return encoder.request(message.msgid, message.method, message.params)
    if isinstance(message, Notification):
        return encoder.notification(message.method, list(message.params))
    if message.error is not None:
        return encoder.error(message.msgid, message.error)
    return encoder.result(message.msgid, message.result)


def read(data: bytes) -> str:
    """How reading the bytes went, as a value and as a message; other exceptions escape."""
    outcome = "accepted"
    for decode in (decode_value, decode_message):
        try:
            decode(data)
        except RemoteProtocolError:
            outcome = "rejected"
    return outcome


def deep_equal(left: Any, right: Any) -> bool:
    """Equal in type, value and order of keys; NaN equals NaN, 0.0 does not equal -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        if math.isnan(left):
            return math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, np.ndarray):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(deep_equal, left, right))
    if isinstance(left, dict):
        return deep_equal(list(left.items()), list(right.items()))
    if isinstance(left, Request | Response | Notification):
        return all(deep_equal(getattr(left, name), getattr(right, name)) for name in left.__slots__)
    return bool(left == right)


class Vector:
    """One file of ``tests/vectors``: a MessagePack value and what it stands for.

    ``y_``: decodes to the literal ``python:`` and encodes to the same bytes, or to those of
    ``reencodes:``. ``n_``: is rejected. ``i_``: may be either, but must not crash. Lines that
    begin with ``elixir:`` are for ExUnit; ``only:`` and ``skip-encode:`` name a language.
    """

    def __init__(self, path: Path) -> None:
        lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
        self.name = path.stem
        self.fields = {
            key: value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        self.data = bytes.fromhex(self.fields["bytes"])
        self.applies = self.fields.get("only", "python") == "python"
        self.encodes = self.fields.get("skip-encode") != "python"
        self.encoded = bytes.fromhex(self.fields.get("reencodes", self.fields["bytes"]))

    def __repr__(self) -> str:
        return self.name

    @property
    def value(self) -> Any:
        """What the bytes stand for."""
        return literal(self.fields["python"])


def vectors(prefix: str) -> list[Vector]:
    """The vectors whose names begin with ``prefix`` and that concern Python."""
    found = [Vector(path) for path in sorted(VECTORS.glob(f"{prefix}_*.txt"))]
    return [vector for vector in found if vector.applies]
