"""Which calls are made to pause, and where: schedules that find what the usual ones do not show.

Most bugs between threads need few switches at the right places (Musuvathi and Qadeer, "Iterative
context bounding", PLDI 2007: CHESS; Burckhardt and others, "A randomized scheduler with probabilistic
guarantees of finding bugs", ASPLOS 2010: PCT). So a call pauses at most twice, at points that are drawn
from as many as calls of its tool have had so far; a point is an access to what threads share, a lock
that is taken or given back, or a call of a function that is not the program's. While it pauses, the others
go on.
"""

from __future__ import annotations

import random
from time import sleep as _sleep  # the program may replace the one of the module

#: How often a call pauses at most, and how many points a tool has of which no call has ended.
_MOST, _UNKNOWN = 2, 12
#: How long a pause takes, in seconds: long enough for a quick call, or one that waits for the interpreter.
_PAUSES_S = (0.0, 0.0005, 0.002)
#: Of how many points of a call it is known, at most.
_FURTHEST = 10_000


class Schedule:
    """Draws the pauses of calls. Any thread may call.

    The pauses of the n-th call of a tool depend on the seed alone, if calls of the tool are alike.

    Args:
        chance: what they are drawn from.
    """

    def __init__(self, chance: random.Random) -> None:
        self._seed = chance.random()
        self._calls: dict[str, int] = {}
        self._longest: dict[str, int] = {}

    def draw(self, name: str) -> list[int]:
        """The points at which the next call of a tool pauses; the first comes last."""
        number = self._calls[name] = self._calls.get(name, 0) + 1
        chance = random.Random(f"{self._seed} {name} {number}")
        points = self._longest.get(name, _UNKNOWN)
        count = chance.randint(0, min(_MOST, points))
        return sorted((chance.randint(1, points) for _ in range(count)), reverse=True)

    def ended(self, name: str, points: int) -> None:
        """A call of a tool has ended, with so many points."""
        self._longest[name] = max(1, min(max(points, self._longest.get(name, 0)), _FURTHEST))

    def pause(self, point: int) -> None:
        """Pause, at this point of a call."""
        _sleep(_PAUSES_S[point % len(_PAUSES_S)])
