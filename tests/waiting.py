"""Threads beside a test, and waiting that gives up: what does not come fails the test."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from bridge.testing import PATIENCE_S

#: Long enough for a loaded machine, in seconds; nothing waits so long unless it is broken.
WAIT_S = PATIENCE_S
#: The same for whole programs that tests run: pytest, mix, benchmarks.
PROGRAM_S = 9 * PATIENCE_S


def slowness() -> float:
    """How much longer things take than on a machine with nothing else to do: 1.0 or more.

    For limits that are promised, and that a test holds a program to.
    """
    if not hasattr(os, "getloadavg"):
        return 1.0
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Look until the condition holds, for what nobody announces; fail after ``WAIT_S``."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"waited {WAIT_S} s for {what}"
        time.sleep(0.001)


def passed(event: threading.Event) -> None:
    """Wait for the event; fail if it does not come."""
    assert event.wait(WAIT_S), "the event did not come"


def in_thread(function: Callable[..., object], *args: Any) -> threading.Thread:
    """Run a function beside the test. The caller joins the thread."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def join(*threads: threading.Thread) -> None:
    """Wait for threads to end; fail if one does not."""
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), f"{thread.name} does not end"
