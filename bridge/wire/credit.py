"""How much of one stream the peer is ready to take."""

from __future__ import annotations

from ..errors import LocalProtocolError


class Credit:
    """How many items and bytes the peer is ready to take of one stream.

    An item may be sent while both accounts are above zero. Its size may take the account of
    bytes below zero once: otherwise an item larger than the whole window could never be sent.

    What was granted and what was spent are counted apart, and each has one writer: the reader
    grants, the worker that sends the stream spends. So they need no lock.
    """

    __slots__ = ("granted_items", "granted_bytes", "spent_items", "spent_bytes")

    def __init__(self, items: int, bytes: int) -> None:
        self.granted_items, self.granted_bytes = items, bytes
        self.spent_items = self.spent_bytes = 0

    @property
    def available(self) -> bool:
        """Whether another item may be sent."""
        return self.granted_items > self.spent_items and self.granted_bytes > self.spent_bytes

    def grant(self, items: int, bytes: int) -> None:
        """The peer can take so many more."""
        self.granted_items += items
        self.granted_bytes += bytes

    def spend(self, size: int) -> None:
        """Take one item of ``size`` bytes.

        Raises:
            LocalProtocolError: There is no credit.
        """
        if not self.available:
            raise LocalProtocolError("an item beyond the peer's credit")
        self.spent_items += 1
        self.spent_bytes += size
