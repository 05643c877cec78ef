"""The state of the whole process that one call changes for all others."""

from __future__ import annotations

import locale
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ..gil import is_enabled

_STATE: dict[str, Callable[[], Any]] = {
    "the working directory": os.getcwd,
    # as os keeps it: decoding it costs more than most calls
    "the environment (os.environ)": lambda: dict(vars(os.environ).get("_data", os.environ)),
    "the locale": lambda: locale.setlocale(locale.LC_ALL),
    "the warnings filters": lambda: list(warnings.filters),
    "the signal handlers": lambda: [signal.getsignal(n) for n in (2, 15)],
    "sys.stdout": lambda: id(sys.stdout),
    "the GIL": is_enabled,
}


class ProcessState:
    """The state as it is when this is made."""

    def __init__(self) -> None:
        self._state = {name: look() for name, look in _STATE.items()}

    def changed(self) -> list[str]:
        """The names of what is different now."""
        return [name for name, look in _STATE.items() if look() != self._state[name]]
