"""What is sent on a stream: its items, and what a tool says beside them."""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import GrpcTransport

#: Progress and log lines that wait for a slow client; more are dropped.
_MAX_NOTES = 64


class Sender:
    """The messages of one stream, one at a time. gRPC's ``send`` blocks while nobody reads.

    What a tool says beside its items must not wait for that: a thread of its own sends it.
    """

    def __init__(self, transport: GrpcTransport, send: Callable[[bytes | None], None]) -> None:
        self._transport = transport
        self._send = send
        self._sending = threading.Lock()
        self._notes: deque[bytes] = deque()
        self._noting = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send a message, after the notes before it. Blocks until the client takes it.

        Raises ``CallError`` if it is too large.
        """
        self._transport.check_size(message)
        with self._sending:
            self._send_notes()
            self._send(message)

    def end(self) -> None:
        """End the stream well."""
        self._send(None)

    def note(self, message: bytes | None) -> None:
        """Have a message sent before the next one, or sooner; or drop it, if the client is slow."""
        if message is None:
            return
        if len(self._notes) >= _MAX_NOTES:
            self._transport.dropped += 1
            return
        self._notes.append(message)
        if self._noting.acquire(blocking=False):
            threading.Thread(target=self._run, name="bridge-grpc-notes", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._sending:
                self._send_notes()
            self._noting.release()
            # who noted something meanwhile has seen the lock taken
            if not self._notes or not self._noting.acquire(blocking=False):
                return

    def _send_notes(self) -> None:
        while self._notes:
            self._send(self._notes.popleft())
