"""The descriptors 0, 1 and 2, which every program takes for granted."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def take_standard_descriptors(needed: Iterable[int]) -> None:
    """Open the null device where 0, 1 or 2 is closed. Before anything else is opened.

    Otherwise a file of a tool would get the number, and with it what C libraries and child
    processes write to stderr.

    Args:
        needed: descriptors that must be open already.

    Raises:
        OSError: one of them is not.
    """
    for descriptor in needed:
        os.fstat(descriptor)
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(null, True)
