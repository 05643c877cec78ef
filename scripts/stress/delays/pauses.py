"""What the injected calls do: mostly nothing, sometimes let others go first. Part of the copy.

Each thread draws its own sequence, which its name and the seed determine. Which line gets which delay
depends on the machine as well: a seed repeats the calls and the draws, not the interleaving.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter

_SEED = os.environ.get("BRIDGE_DELAYS_SEED", "")
#: Of so many statements, and for how long at most: a hand-over of the GIL, a moment, a while.
_YIELD, _MOMENT, _WHILE = 0.04, 0.008, 0.0008
_MOMENT_S, _WHILE_S = 0.0003, 0.008

sys.setswitchinterval(1e-6)
_begun: Counter[str] = Counter()


class _Draws(threading.local):
    def __init__(self) -> None:
        name = threading.current_thread().name
        _begun[name] += 1
        self.random = random.Random(f"{_SEED}/{name}/{_begun[name]}").random


_draws = _Draws()


def pause() -> None:
    """Wait, or do not."""
    draw = _draws.random()
    if draw < _YIELD:
        if draw < _WHILE:
            time.sleep(_WHILE_S * draw / _WHILE)
        elif draw < _MOMENT:
            time.sleep(_MOMENT_S * draw / _MOMENT)
        else:
            time.sleep(0)
