"""Messages to bytes and back, with nothing but the codec."""

from __future__ import annotations

from typing import Any

from bridge.errors import RemoteProtocolError
from bridge.wire.codec import Encoder, decode_message, decode_value
from bridge.wire.messages import Notification, Request, Response


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


def passed(value: Any) -> Any:
    """The value as it arrives."""
    return decode_value(Encoder().value(value))
