"""The right to answer a call, which exists once."""

from __future__ import annotations


class Claim:
    """Whoever takes it answers the call: its worker, a cancel, its deadline, or the end.

    Any thread may call any of the methods; ``take`` returns True exactly once.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free = [True]

    def __bool__(self) -> bool:
        """Whether it can still be taken, which another thread may do at any moment."""
        return bool(self._free)

    def take(self) -> bool:
        """Take it. False if somebody has."""
        try:
            self._free.pop()  # atomic, with the GIL and without
        except IndexError:
            return False
        return True
