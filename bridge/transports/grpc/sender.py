"""What is sent on a stream: its items, its end, and what a tool says beside them.

**Guarantees.** gRPC's ``send`` has one message at a time. Notes, which are progress and log lines,
come in their order, before whatever was sent after them, and never after the last message. ``note``
never blocks: a client that does not read loses notes, not the tool its time.

**Assumes** of gRPC: ``send`` blocks until the client's window has taken the message, and returns at
once, having done nothing, when the request is over.

**Which thread runs what.** The tool's: ``send``, ``end``. Any: ``note``. A thread of the sender,
while there are notes that nobody else sends: ``_run``.

**Interleavings**, each with its test in ``test_grpc_sender.py``:

1. A note comes when the thread of the sender has just looked for the last time. It saw no thread
   needed, as the lock was taken; so the thread looks once more after it has given the lock up.
   (``test_a_note_that_comes_as_the_last_one_was_sent_is_not_forgotten``)
2. A note comes, or waits to be sent, while the stream ends. Ending happens with the lock of sending,
   and what is still there then is dropped.
   (``test_nothing_follows_the_last_message``)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ...errors import CallError

#: Notes that wait for a slow client; more are dropped.
_MAX_NOTES = 64


class Drops:
    """Counts the notes that were dropped. Any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self, count: int = 1) -> None:
        """Count so many more."""
        with self._lock:
            self.count += count


class Sender:
    """The messages of one stream, one at a time.

    Args:
        send: gRPC's: sends a message, and ends the stream when it is given None.
        max_bytes: the size of the largest message that may be sent.
        drops: counts the notes that the client has not read fast enough for.
    """

    def __init__(
        self, send: Callable[[bytes | None], object], max_bytes: int, drops: Drops
    ) -> None:
        self._send = send
        self._max_bytes = max_bytes
        self._drops = drops
        self._sending = threading.Lock()
        self._ended = False
        self._notes: deque[bytes] = deque()
        self._noting = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send a message, after the notes before it. Blocks until the client's window takes it.

        Raises:
            CallError: the message is too large; nothing was sent.
        """
        check_size(message, self._max_bytes)
        with self._sending:
            self._send_notes()
            self._send(message)

    def end(self, message: bytes | None = None) -> None:
        """Send the last message, after the notes before it, and end the stream well.

        Raises:
            CallError: the message is too large; nothing was sent, and the stream has not ended.
        """
        if message is not None:
            check_size(message, self._max_bytes)
        with self._sending:
            self._send_notes()
            if message is not None:
                self._send(message)
            self._ended = True  # 2
            self._send(None)

    def note(self, message: bytes | None) -> None:
        """Have a message sent before the next one, or sooner; or drop it, if the client is slow.

        Never blocks, never raises. None is no message.
        """
        if message is None:
            return
        if self._ended or len(self._notes) >= _MAX_NOTES:
            self._drops.add()
            return
        self._notes.append(message)
        if self._noting.acquire(blocking=False):
            thread = threading.Thread(target=self._run, name="bridge-grpc-notes", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._noting.release()  # no thread can be had: the next message takes it along

    def _run(self) -> None:
        while True:
            with self._sending:
                self._send_notes()
            self._noting.release()
            # 1: whoever noted something meanwhile has seen the lock taken
            if not self._notes or not self._noting.acquire(blocking=False):
                return

    def _send_notes(self) -> None:
        while self._notes:
            note = self._notes.popleft()
            if self._ended:  # 2
                self._drops.add()
            else:
                self._send(note)


def check_size(message: bytes, max_bytes: int) -> bytes:
    """Return a message that a client may be sent.

    Raises:
        CallError: it is larger than ``max_bytes``.
    """
    if len(message) > max_bytes:
        raise CallError(
            f"the result has {len(message)} bytes, above the limit of {max_bytes} "
            "(--max-message-bytes)",
            code="resource_exhausted",
            started=True,
        )
    return message
