"""`lru_cache` gives every caller the same list, and each call changes it for all."""

import functools

from bridge import ThreadSafeAdapter, tool

EXPECTED = "route"


@functools.lru_cache
def stops(line):
    return {"red": ["A", "B", "C"], "blue": ["C", "D"]}[line]


class Broken(ThreadSafeAdapter):
    @tool(examples=[["red", "Z"], ["blue", "Y"]])
    def detour(self, line, end):
        route = stops(line)
        route[-1] = end
        return " ".join(route)


class Mended(ThreadSafeAdapter):
    """The call builds a list of its own from the cached one, which is only read."""

    @tool(examples=[["red", "Z"], ["blue", "Y"]])
    def detour(self, line, end):
        route = [*stops(line)[:-1], end]
        return " ".join(route)
