"""The protocol without a process: a connection of the bridge, joined to a plain peer."""

from __future__ import annotations

from typing import Any

from ..errors import CallError
from ..wire import (
    CancelReceived,
    Connection,
    Credit,
    CreditReceived,
    Encoder,
    Event,
    Fault,
    decode_message,
    encode_header,
)


def frame(payload: bytes) -> bytes:
    """The payload behind its header."""
    return encode_header(len(payload)) + payload


def describe(event: Event) -> Any:
    """An event as a value that can be compared and printed.

    A ``Request`` is one already. ``("cancel", id)``, ``("credit", id)`` and ``("fault", id, code,
    text, in flight?)`` stand for the others.
    """
    if isinstance(event, Fault):
        return "fault", event.msgid, event.error.code, str(event.error), event.in_flight
    if isinstance(event, CancelReceived):
        return "cancel", event.msgid
    if isinstance(event, CreditReceived):
        return "credit", event.msgid
    return event


class ConnectionPair:
    """A ``Connection`` and the peer at the other end of it. For one thread.

    What the peer sends passes through the real encoder, framing and decoder, and so does what
    the bridge answers; only the pipe is missing. A client's own bytes go in with ``receive`` and
    what its parser shall read comes out with ``take_bytes``; the other methods speak for a peer
    that does all right.

    Args:
        max_message_bytes: A longer frame is refused on its header; default: 1 MiB.
    """

    def __init__(self, max_message_bytes: int = 1 << 20) -> None:
        self.connection = Connection(max_message_bytes)
        #: All that the bridge was told; see ``describe``.
        self.events: list[Any] = []
        self._bridge = Encoder()
        self._peer = Encoder()
        self._written = bytearray()

    # -- the peer speaks --------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Any]:
        """Bytes arrive, in pieces of any size; returns the events that they mean."""
        events = self.connection.receive_data(data)
        self.events += events
        return list(events)

    def send(self, *payloads: bytes) -> list[Any]:
        """Frames with these payloads arrive at once; returns the events that they mean."""
        return self.receive(b"".join(map(frame, payloads)))

    def request(
        self, msgid: int, method: str = "tool", params: Any = (), **options: Any
    ) -> list[Any]:
        """A request arrives. ``options``: those of the protocol."""
        params = params if isinstance(params, dict) else list(params)
        return self.send(self._peer.request(msgid, method, params, options or None))

    def stream(self, msgid: int, items: int, bytes: int) -> Credit | None:
        """A streaming request arrives; returns its credit, which ``item`` asks for."""
        self.request(msgid, stream={"items": items, "bytes": bytes})
        return self.connection.credit(msgid)

    def notify(self, method: str, *params: Any) -> list[Any]:
        """A notification arrives."""
        return self.send(self._peer.notification(method, list(params)))

    # -- the bridge speaks, the peer understands ----------------------------------------------

    def result(self, msgid: int, value: Any = None) -> Any:
        """The bridge answers; returns the response as the peer reads it.

        Raises:
            EncodeError: The value has no form on the wire.
            LocalProtocolError: The request is not in flight.
        """
        return self._write(bytes(self.connection.result(self._bridge, msgid, value)))

    def error(self, msgid: int, error: CallError) -> Any:
        """The bridge answers with an error; returns the response as the peer reads it.

        Raises:
            LocalProtocolError: The request is not in flight.
        """
        return self._write(self.connection.error(self._bridge, msgid, error))

    def item(self, msgid: int, credit: Credit | None, value: Any = None) -> Any:
        """The bridge sends an item; returns the notification as the peer reads it.

        Raises:
            EncodeError: The value has no form on the wire.
            LocalProtocolError: The request is not in flight, or there is no credit.
        """
        return self._write(bytes(self.connection.item(self._bridge, msgid, credit, value)))

    def fault(self, fault: Fault) -> Any:
        """The bridge answers a fault; returns the message as the peer reads it."""
        return self._write(self.connection.fault(self._bridge, fault))

    def notification(self, method: str, *params: Any) -> Any:
        """The bridge sends a notification, such as ``$/ready``; returns it as the peer reads it."""
        return self._write(self._bridge.notification(method, list(params)))

    def take_bytes(self) -> bytes:
        """All that the bridge has sent since the last time: whole frames, one after another."""
        written = bytes(self._written)
        self._written.clear()
        return written

    def _write(self, payload: bytes) -> Any:
        self._written += frame(payload)
        return decode_message(payload)
