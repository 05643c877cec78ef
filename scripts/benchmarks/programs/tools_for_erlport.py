"""The tools that ErlPort calls: plain functions of a module."""

from __future__ import annotations

import time
from typing import Any


def echo(value: Any) -> Any:
    """What came."""
    return value


def sleep(seconds: float) -> float:
    """Waits, as for a database."""
    time.sleep(seconds)
    return seconds
