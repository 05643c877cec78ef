"""Two calls take the same free row of the journal, and one overwrites the other."""

import itertools

import numpy as np

from bridge import ThreadSafeAdapter, tool

EXPECTED = "free_row"
REQUIRES = "numpy"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.journal = np.zeros((100_000, 2))
        self.free_row = 0

    @tool(examples=[[1.0, 2.0], [3.0, 4.0]])
    def enter(self, debit, credit):
        row = self.free_row
        self.free_row = row + 1
        self.journal[row] = debit, credit
        return float(self.journal[row].sum())


class Mended(ThreadSafeAdapter):
    """`next` on `itertools.count` is atomic, so each call has a row of its own to write to."""

    def setup(self):
        self.journal = np.zeros((100_000, 2))
        self.free_rows = itertools.count()

    @tool(examples=[[1.0, 2.0], [3.0, 4.0]])
    def enter(self, debit, credit):
        row = next(self.free_rows)
        self.journal[row] = debit, credit
        return float(self.journal[row].sum())
