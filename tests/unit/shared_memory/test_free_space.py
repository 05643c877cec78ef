"""The free parts of a file: a machine of random takes and returns, beside a plain map of pages."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.shared_memory.free_space import PAGE_BYTES, FreeSpace, rounded


class FreeSpaceMachine(RuleBasedStateMachine):
    """Every page is given to one at most, and neighbours are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.space = FreeSpace(32)
        self.pages = [True]  # taken: the beginning
        self.taken: list[tuple[int, int]] = []

    @rule(pages=st.integers(1, 8))
    def grow(self, pages: int) -> None:
        self.space.grow(pages * PAGE_BYTES)
        self.pages += [False] * pages

    @rule(size=st.integers(1, 5 * PAGE_BYTES))
    def take(self, size: int) -> None:
        count = rounded(size) // PAGE_BYTES
        runs = "".join(" x"[taken] for taken in self.pages).split("x")
        fits = any(len(run) >= count for run in runs)
        start = self.space.take(size)
        assert (start is not None) == fits
        if start is not None:
            first = start // PAGE_BYTES
            assert start % PAGE_BYTES == 0
            assert not any(self.pages[first : first + count])
            assert first + count <= len(self.pages)
            self.pages[first : first + count] = [True] * count
            self.taken.append((start, size))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        start, size = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.space.give_back(start, size)
        first, count = start // PAGE_BYTES, rounded(size) // PAGE_BYTES
        self.pages[first : first + count] = [False] * count

    @invariant()
    def what_is_free_is_known(self) -> None:
        assert self.space.size == len(self.pages) * PAGE_BYTES
        assert self.space.free_bytes == self.pages.count(False) * PAGE_BYTES
        parts = self.space.parts()
        free = [False] * len(self.pages)
        for start, length in parts:
            for page in range(start // PAGE_BYTES, (start + length) // PAGE_BYTES):
                free[page] = True
        assert free == [not taken for taken in self.pages]
        for (start, length), (following, _) in pairwise(parts):
            assert start + length < following  # neighbours are one part


FreeSpaceMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestFreeSpace = FreeSpaceMachine.TestCase
