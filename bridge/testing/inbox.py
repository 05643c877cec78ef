"""What a peer has received, and how to wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..errors import CallError, RemoteProtocolError, TransportClosed, shorten
from ..wire import ITEM, Message, Notification, Request, Response
from .functions import Functions

#: How long a test waits for what must come, in seconds: long, because machines are busy.
PATIENCE_S = 20.0
#: What a message takes in memory beside its bytes, roughly.
OVERHEAD_BYTES = 200
#: So many of the newest notifications are kept at least.
_NOTIFICATIONS = 10_000


class Inbox:
    """The part of a peer that receives. One thread fills it, any may wait.

    Args:
        remember_bytes: How much of what was taken is kept, see ``PortPeer``.
    """

    # as they are for peers that fill it in their own way
    _remember_bytes: int | None = None
    _failure: Exception | None = None
    #: Why something that came for a call cannot be read, by id.
    _refused: Mapping[int, RemoteProtocolError] = {}
    #: The identity of the params that ``notification`` has returned.
    _returned: set[int] | None = None
    #: What the bridge may call; None: nothing.
    _functions: Functions | None = None

    def __init__(self, remember_bytes: int | None) -> None:
        #: All notifications so far but items, as ``(method, params)``.
        self.notifications: list[tuple[str, Any]] = []
        #: Every response so far by id, a list for each, as ``(error, result)``.
        self.responses: dict[int, list[tuple[dict[str, Any] | None, Any]]] = {}
        #: The items of every stream so far, by id.
        self.items: dict[int, list[Any]] = {}
        #: The method of the first message, None if it was a response.
        self.first: str | None = None
        self._remember_bytes = remember_bytes
        self._refused = {}
        self._sizes: dict[int, int] = {}  # of what came for a request and was not taken
        self._taken: dict[int, int] = {}  # the same, taken: the oldest first
        self._taken_bytes = 0
        self._arrived = threading.Condition()
        self._closed = False

    def result(self, msgid: int, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for the response to a request, and return the result in it.

        Args:
            msgid: What ``request`` returned.
            timeout_s: How long to wait, in seconds; default: ``PATIENCE_S``.

        Raises:
            CallError: It is in the response.
            TimeoutError: It has not come in time.
            TransportClosed: The bridge has ended without an answer.
            RemoteProtocolError: The bridge sent what cannot be read, for this call or for none.
        """
        self._wait(lambda: msgid in self.responses or msgid in self._refused, timeout_s)
        if msgid in self._refused:
            raise RemoteProtocolError(
                f"what the bridge sent for request {msgid} cannot be read: {self._refused[msgid]}"
            ) from self._refused[msgid]
        error, result = self.responses[msgid][0]
        self._note_taken(msgid)
        if error is not None:
            raise CallError.from_wire(error)
        return result

    def notification(
        self,
        method: str,
        accept: Callable[[list[Any]], bool] = lambda params: True,
        timeout_s: float = PATIENCE_S,
    ) -> list[Any]:
        """Wait for a notification and return its params.

        One that was not returned yet comes first. If there is none, those that were count again.

        Args:
            method: Its name.
            accept: Whether it is the one, given its params; default: the first is.
            timeout_s: How long to wait, in seconds; default: ``PATIENCE_S``.

        Raises:
            TimeoutError, TransportClosed, RemoteProtocolError: As ``result`` raises them.
        """
        found: list[list[Any]] = []
        if self._returned is None:
            self._returned = set()
        returned = self._returned

        def look() -> bool:
            found.extend(p for m, p in self.notifications if m == method and accept(p))
            return bool(found)

        self._wait(look, timeout_s)
        params = next((p for p in found if id(p) not in returned), found[0])
        returned.add(id(params))
        return params

    def wait_for_items(self, msgid: int, count: int, timeout_s: float = PATIENCE_S) -> list[Any]:
        """Wait until ``count`` items of a stream, begun by ``request``, have come, or its end.

        Returns:
            All that have come.

        Raises:
            TimeoutError, TransportClosed, RemoteProtocolError: As ``result`` raises them.
        """
        return self._wait_for_items(msgid, count, timeout_s)[:]

    # -- parts ------------------------------------------------------------------------------

    def _wait(self, look: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + timeout_s
        with self._arrived:
            while not look():
                if self._failure is not None:
                    raise RemoteProtocolError(
                        f"what the bridge sent cannot be read: {self._failure}\n"
                        + self._describe_end()
                    ) from self._failure
                if self._closed:
                    raise TransportClosed(f"the bridge has ended\n{self._describe_end()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not within {timeout_s} s\n{self._describe_end()}")
                self._arrived.wait(left)

    def _wait_for_items(self, msgid: int, count: int, timeout_s: float) -> list[Any]:
        received = self.items.setdefault(msgid, [])
        self._wait(
            lambda: len(received) >= count or msgid in self.responses or msgid in self._refused,
            timeout_s,
        )
        return received

    def _describe_end(self) -> str:
        """What is known of the process at the other end, for those who wait in vain."""
        raise NotImplementedError

    def _note_taken(self, msgid: int) -> None:
        """Forget the oldest of what was taken, if it is too much by now."""
        if self._remember_bytes is None:
            return
        with self._arrived:
            size = self._sizes.pop(msgid, 0) + OVERHEAD_BYTES  # none came for one that was left
            self._taken[msgid] = self._taken.get(msgid, 0) + size
            self._taken_bytes += size
            while self._taken_bytes > self._remember_bytes and len(self._taken) > 1:
                oldest = next(iter(self._taken))
                self._taken_bytes -= self._taken.pop(oldest)
                self._sizes.pop(oldest, None)
                self.responses.pop(oldest, None)
                self.items.pop(oldest, None)

    def _receive(self, message: Message, size: int) -> None:
        """Take in a message whose frame has ``size`` bytes."""
        if self._functions is not None:
            if isinstance(message, Request):
                self._functions.serve(message)
                return
            if isinstance(message, Notification):
                self._functions.note(message)
        with self._arrived:
            if not self.responses and not self.items and not self.notifications:
                self.first = message.method if isinstance(message, Notification) else None
            msgid = self._note(message)
            if msgid is not None:
                self._sizes[msgid] = self._sizes.get(msgid, 0) + size + OVERHEAD_BYTES
            self._arrived.notify_all()

    def _refuse(self, msgid: int, error: RemoteProtocolError) -> None:
        """Take in that something for a call cannot be read."""
        with self._arrived:
            self._refused = {**self._refused, msgid: error}
            self._arrived.notify_all()

    def _note(self, message: Message) -> int | None:
        """Note a message; returns the id of the request that it belongs to."""
        if isinstance(message, Response):
            answers = self.responses.setdefault(message.msgid, [])
            answers.append((message.error, message.result))
            return message.msgid
        if not isinstance(message, Notification):
            raise RemoteProtocolError(f"a request, {shorten(message)}")
        if message.method == ITEM:
            msgid, item = cast("list[Any]", message.params)
            self.items.setdefault(msgid, []).append(item)
            return int(msgid)
        self.notifications.append((message.method, message.params))
        if self._remember_bytes is not None and len(self.notifications) > 2 * _NOTIFICATIONS:
            del self.notifications[:_NOTIFICATIONS]
            if self._returned is not None:
                self._returned &= {id(params) for _, params in self.notifications}
        return None
