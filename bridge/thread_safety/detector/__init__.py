"""Which accesses race: a state machine fed with what threads do. It knows of nothing else.

Four objects work together: ``HappensBefore`` knows which thread comes after which, ``LockOrder``
which lock is taken after which, ``Atomicity`` what each call has looked at, and the ``Detector``,
which has them, the accesses, and which two of them race. ``findings.py`` has what is reported, ``access_modes.py`` the kinds of
accesses.
"""

from .access_modes import (
    COPY,
    GROW,
    ITERATE,
    LOOKS,
    OVERWRITE,
    PEEK,
    READ,
    REORDER,
    SHRINK,
    SNAPSHOT,
    TOUCH,
    WALK,
    WRITE,
)
from .benign import DELETED, MIXED, Harmless, Written
from .detector import Detector
from .findings import (
    CLEAN,
    DISCIPLINE,
    DOCUMENTED,
    LEAK,
    NOTED,
    OBSERVED,
    ORDER,
    RACE,
    SHOWN_FRAMES,
    SILENCE,
    WRONG,
    Access,
    Finding,
    Frame,
    ThreadSafetyError,
)
from .happens_before import Clock

__all__ = [
    "Detector", "Clock", "Access", "Finding", "Frame",
    "OBSERVED", "DISCIPLINE", "DOCUMENTED", "WRONG", "ORDER", "LEAK", "SHOWN_FRAMES",
    "RACE", "NOTED", "CLEAN", "SILENCE", "Harmless", "Written", "MIXED", "DELETED",
    "ThreadSafetyError",
    "READ", "WRITE", "TOUCH", "PEEK", "COPY", "ITERATE", "GROW", "SHRINK", "REORDER",
    "LOOKS", "WALK", "SNAPSHOT", "OVERWRITE",
]  # fmt: skip
