"""Which parts of a range of bytes are free: first fit, neighbours are joined. No lock, no I/O."""

from __future__ import annotations

from bisect import bisect_left, insort

#: Places begin at multiples of this: a part of a file can be mapped from there.
PAGE_BYTES = 1 << 16


def rounded(size: int) -> int:
    """How much is taken for ``size`` bytes: whole pages, at least one."""
    return max(1, -(-size // PAGE_BYTES)) * PAGE_BYTES


class FreeSpace:
    """The free parts of the bytes from 0 to ``size``, which grows. One thread at a time.

    Args:
        first: Bytes at the beginning that are never given away.
    """

    def __init__(self, first: int = 0) -> None:
        self.size = rounded(first) if first else 0
        self.free_bytes = 0
        #: Where free parts begin, in order, and how long each is.
        self._starts: list[int] = []
        self._lengths: dict[int, int] = {}

    def grow(self, more: int) -> None:
        """Append so many free bytes, whole pages."""
        start, self.size = self.size, self.size + more
        self._insert(start, more)

    def take(self, size: int) -> int | None:
        """Where so many bytes are that are free no more; None: nowhere in one piece."""
        size = rounded(size)
        for start in self._starts:
            length = self._lengths[start]
            if length >= size:
                self._remove(start)
                if length > size:
                    self._insert(start + size, length - size)
                return start
        return None

    def give_back(self, start: int, size: int) -> None:
        """Note that what ``take`` has returned for ``size`` is free again."""
        self._insert(start, rounded(size))

    def parts(self) -> list[tuple[int, int]]:
        """The free parts in order: where each begins, and its length."""
        return [(start, self._lengths[start]) for start in self._starts]

    def _insert(self, start: int, length: int) -> None:
        self.free_bytes += length
        place = bisect_left(self._starts, start)
        if place < len(self._starts) and self._starts[place] == start + length:
            following = self._starts.pop(place)
            length += self._lengths.pop(following)
        if place:
            before = self._starts[place - 1]
            if before + self._lengths[before] == start:
                self._lengths[before] += length
                return
        insort(self._starts, start)
        self._lengths[start] = length

    def _remove(self, start: int) -> None:
        self._starts.remove(start)
        self.free_bytes -= self._lengths.pop(start)
