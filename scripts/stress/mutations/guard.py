"""One guard of a numbered interleaving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Guard:
    """``number``: as in the header of ``file``. ``old`` becomes ``new``, and ``test`` fails."""

    file: str
    number: int
    says: str
    old: str
    new: str
    test: str
