"""What the checker does not see, because it would need too much memory: counted, and told."""

from __future__ import annotations

import time
from collections.abc import Callable


class Losses:
    """Counts what finds no place. Any thread may call.

    Args:
        tell: called once for each kind, in words.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        #: By kind, how many, and since when.
        self._counts: dict[str, tuple[int, str]] = {}

    def lost(self, what: str) -> None:
        """One more of these is not seen."""
        number, since = self._counts.get(what, (0, ""))
        self._counts[what] = number + 1, since or time.strftime("%Y-%m-%d %H:%M:%S")
        if not number:
            self._tell(f"the check is full, races may be missed from now on: {what}")

    def describe(self) -> list[str]:
        """A line for each kind."""
        return [f"{number} {what}, since {since}" for what, (number, since) in self._counts.items()]
