"""Requests whose clients have yet to send the message, or to end: bounded in number and in time; and
messages that wait for a worker: bounded in size.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from ...errors import CallError, DeadlineExceeded

if TYPE_CHECKING:
    from .rpc import Rpc

_LARGE_BYTES = 1 << 12


class Awaited:
    """Requests that wait for their clients. Whoever takes one out decides what becomes of it.

    Any thread may call any of the methods, none of which blocks.

    Args:
        limit: how many there may be.
        patience_s: how long each may wait.
    """

    def __init__(self, limit: int, patience_s: float) -> None:
        self.limit = limit
        self.patience_s = patience_s
        self._lock = threading.Lock()
        #: Since when each waits, the oldest first.
        self._since: dict[Rpc, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, rpc: Rpc) -> Rpc | None:
        """Have one more wait.

        Returns:
            The one that has to go for it, already taken out: of the connection that has most of them
            it is the one that waits longest. None if there was room.
        """
        with self._lock:
            self._since[rpc] = time.monotonic()
            if len(self._since) <= self.limit:
                return None
            counts = Counter(each.peer for each in self._since)
            most = max(counts.values())
            for each in self._since:
                if counts[each.peer] == most:
                    del self._since[each]
                    return each
        raise AssertionError("one of several is the first")

    def take(self, rpc: Rpc) -> bool:
        """Take one out. False if somebody else has."""
        with self._lock:
            return self._since.pop(rpc, None) is not None

    def take_overdue(self, now: float) -> list[Rpc]:
        """Take out those that have waited too long by ``now``, an instant of ``time.monotonic()``."""
        with self._lock:
            found = [rpc for rpc, since in self._since.items() if now - since > self.patience_s]
            for rpc in found:
                del self._since[rpc]
        return found

    def take_all(self) -> list[Rpc]:
        """Take all out."""
        with self._lock:
            found = list(self._since)
            self._since.clear()
        return found

    def too_many(self) -> CallError:
        """What is said to a request that has to go because there are too many."""
        return CallError(
            f"more than {self.limit} requests have begun and not gone on, of this connection most",
            code="resource_exhausted",
            started=False,
        )

    def too_late(self) -> CallError:
        """What is said to one that has waited too long."""
        return DeadlineExceeded(
            f"the message of the request did not come within {self.patience_s:g} s", started=False
        )


class Waiting:
    """How large the messages are that have come for calls without a worker. Any thread."""

    def __init__(self) -> None:
        #: The bytes of all, but those of small ones, which a lock would cost more than they weigh.
        self.size_bytes = 0
        self._lock = threading.Lock()

    def add(self, rpc: Rpc) -> None:
        """The message of a call has come."""
        size = 0 if rpc.reception is None else rpc.reception.size_bytes
        if size >= _LARGE_BYTES:
            rpc.waiting_bytes = size
            with self._lock:
                self.size_bytes += size

    def remove(self, rpc: Rpc) -> None:
        """A call with ``waiting_bytes`` has a worker, or is refused. Once."""
        with self._lock:
            self.size_bytes -= rpc.waiting_bytes
        rpc.waiting_bytes = 0
