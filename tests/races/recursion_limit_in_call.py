"""The limit of recursion is one for all threads: what one call sets holds for all others."""

import sys

from bridge import ThreadSafeAdapter, tool

EXPECTED = "the recursion limit"
SOURCE = "https://github.com/HypothesisWorks/hypothesis/pull/4471"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[2500]])
    def deep(self, depth):
        sys.setrecursionlimit(depth)
        return depth


class Mended(ThreadSafeAdapter):
    """The depth is counted by the call itself."""

    @tool(examples=[[2500]])
    def deep(self, depth):
        steps = 0
        while steps < depth:
            steps += 1
        return steps
