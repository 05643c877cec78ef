"""Waiting for what nobody announces: only the end of the process does so."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: How often is looked.
_LOOK_S = 0.002


def poll(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until a state is reached, at most so long. Returns whether it is."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_S)
    return True
