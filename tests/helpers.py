"""The core without I/O: a connection joined to a plain peer, vectors, and exact comparison."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import CallError, RemoteProtocolError
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.connection import CancelReceived, Connection, CreditReceived, Fault
from bridge.wire.framing import encode_header
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


def frame(payload: bytes) -> bytes:
    """The payload behind its header."""
    return encode_header(len(payload)) + payload


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


def describe(event: Any) -> Any:
    """An event as a value that can be compared and printed."""
    if isinstance(event, Fault):
        return "fault", event.msgid, event.error.code, str(event.error), event.in_flight
    if isinstance(event, CancelReceived):
        return "cancel", event.msgid
    if isinstance(event, CreditReceived):
        return "credit", event.msgid
    return event


class ConnectionPair:
    """A ``Connection`` and the peer at the other end of it.

    What the peer sends passes through the real encoder, framing and decoder, and so does what
    the bridge answers; only the pipe is missing. ``events`` keeps all that the bridge was told.
    """

    def __init__(self, max_message_bytes: int = 1 << 20) -> None:
        self.connection = Connection(max_message_bytes)
        self.events: list[Any] = []
        self._bridge = Encoder()
        self._peer = Encoder()

    # -- the peer speaks --------------------------------------------------------------------

    def send(self, *payloads: bytes) -> list[Any]:
        """Frames with these payloads arrive at once; returns the events that they mean."""
        events = self.connection.receive_data(b"".join(map(frame, payloads)))
        self.events += events
        return events

    def request(
        self, msgid: int, method: str = "tool", params: Any = (), **options: Any
    ) -> list[Any]:
        """A request arrives."""
        params = params if isinstance(params, dict) else list(params)
        return self.send(self._peer.request(msgid, method, params, options or None))

    def stream(self, msgid: int, items: int, bytes: int) -> Any:
        """A streaming request arrives; returns its credit."""
        self.request(msgid, stream={"items": items, "bytes": bytes})
        return self.connection.credit(msgid)

    def notify(self, method: str, *params: Any) -> list[Any]:
        """A notification arrives."""
        return self.send(self._peer.notification(method, list(params)))

    # -- the bridge speaks, the peer understands ----------------------------------------------

    def result(self, msgid: int, value: Any = None) -> Any:
        """The bridge answers; returns the response as the peer reads it."""
        return decode_message(self.connection.result(self._bridge, msgid, value))

    def error(self, msgid: int, error: CallError) -> Any:
        """The bridge answers with an error; returns the response as the peer reads it."""
        return decode_message(self.connection.error(self._bridge, msgid, error))

    def item(self, msgid: int, credit: Any, value: Any = None) -> Any:
        """The bridge sends an item; returns the notification as the peer reads it."""
        return decode_message(self.connection.item(self._bridge, msgid, credit, value))

    def fault(self, fault: Fault) -> Any:
        """The bridge answers a fault; returns the message as the peer reads it."""
        return decode_message(self.connection.fault(self._bridge, fault))


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
