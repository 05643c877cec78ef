"""The tools that ErlPort calls: plain functions of a module."""

from __future__ import annotations

import time
from typing import Any


def echo(value: Any) -> Any:
    """What came."""
    return value


def asks(value: int) -> Any:
    """Twice the value, which Elixir computes."""
    # only its Erlang half answers this, which starts the package under this name
    from erlport.erlang import call  # type: ignore[import-not-found]
    from erlport.erlterms import Atom  # type: ignore[import-not-found]

    return call(Atom(b"Elixir.Bench.Client"), Atom(b"double"), [value])


def sleep(seconds: float) -> float:
    """Waits, as for a database."""
    time.sleep(seconds)
    return seconds
