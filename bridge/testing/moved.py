"""Modules that have moved: the names that 0.1 gave them work for one minor release, and warn."""

from __future__ import annotations

import sys
import warnings


def moved(old: str, new: str) -> None:
    """Let the module ``old`` be another name of the module ``new``, and warn whoever imports it.

    Called by the file with the old name, once it has imported the new one.
    """
    message = f"{old} is called {new} since 0.2; the old name goes with 0.3"
    # 1 is here, 2 the file with the old name, 3 whoever imports that
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    sys.modules[old] = sys.modules[new]
