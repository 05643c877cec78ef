"""Which accesses race: a state machine fed with what threads do. It knows of nothing else.

Three objects work together: ``HappensBefore`` knows which thread comes after which,
``Atomicity`` what each call has looked at, and the ``Detector``, which has both, the accesses, and
which two of them race. ``findings.py`` has what is reported, ``access_modes.py`` the kinds of
accesses.
"""

from .access_modes import COPY, GROW, ITERATE, PEEK, READ, REORDER, SHRINK, TOUCH, WRITE
from .detector import Detector
from .findings import DISCIPLINE, DOCUMENTED, OBSERVED, Access, Finding, Frame
from .happens_before import Clock

__all__ = [
    "Detector", "Clock", "Access", "Finding", "Frame",
    "OBSERVED", "DISCIPLINE", "DOCUMENTED",
    "READ", "WRITE", "TOUCH", "PEEK", "COPY", "ITERATE", "GROW", "SHRINK", "REORDER",
]  # fmt: skip
