"""Threads of joblib write one dict by what they find there, or return their parts, as its processes do."""

import joblib

from bridge import ThreadSafeAdapter, tool

FOUND = "counts"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.counts = {}

    def _count(self, word):
        self.counts[word] = self.counts.get(word, 0) + 1

    @tool(examples=[[["a", "b", "a"]]])
    def count(self, words: list[str]) -> None:
        joblib.Parallel(2, prefer="threads")(joblib.delayed(self._count)(word) for word in words)


class Right(ThreadSafeAdapter):
    @tool(examples=[[["a", "b", "a"]]])
    def count(self, words: list[str]) -> int:
        sizes = joblib.Parallel(2, prefer="threads")(joblib.delayed(len)(word) for word in words)
        return sum(sizes)

    @tool(examples=[[[1, -2, 3]]])
    def sizes(self, numbers: list[int]) -> list[int]:
        return joblib.Parallel(2, backend="loky")(joblib.delayed(abs)(n) for n in numbers)
