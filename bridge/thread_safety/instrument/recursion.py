"""Room for the frames of the probe, of which the program knows nothing."""

from __future__ import annotations

import sys
from typing import Any

#: A call by way of the probe takes two frames more.
_TIMES = 3


class RecursionRoom:
    """While entered, the limit of recursion is higher than what the program sees and sets."""

    def __init__(self) -> None:
        self._originals: tuple[Any, Any] | None = None

    def __enter__(self) -> RecursionRoom:
        get, set_limit = sys.getrecursionlimit, sys.setrecursionlimit
        self._originals = get, set_limit

        def getrecursionlimit() -> int:
            return get() // _TIMES

        def setrecursionlimit(limit: int, /) -> None:
            set_limit(limit * _TIMES)

        set_limit(get() * _TIMES)
        sys.getrecursionlimit, sys.setrecursionlimit = getrecursionlimit, setrecursionlimit
        return self

    def __exit__(self, *_: object) -> None:
        if self._originals is not None:
            limit = sys.getrecursionlimit()
            sys.getrecursionlimit, sys.setrecursionlimit = self._originals
            self._originals = None
            sys.setrecursionlimit(limit)
