"""How whoever runs a program is told of findings: by warnings, or in the log."""

from __future__ import annotations

import logging
import warnings

from .detector import Finding
from .reports import describe_finding


class ThreadSafetyWarning(RuntimeWarning):
    """A race was found. Made once for each."""


def warn(finding: Finding) -> None:
    """Warn of a finding, with a ``ThreadSafetyWarning``: what a checker does by default."""
    warnings.warn(describe_finding(finding), ThreadSafetyWarning, stacklevel=2)


def log(finding: Finding) -> None:
    """Write a finding to the log ``bridge.thread_safety``: for ``ThreadSafetyChecker(note=log)``."""
    logging.getLogger("bridge.thread_safety").warning("%s", describe_finding(finding))


def log_fault(text: str) -> None:
    """Write what went wrong in the checker itself to the log ``bridge.thread_safety``."""
    logging.getLogger("bridge.thread_safety").error("%s", text)


def log_loss(text: str) -> None:
    """Write what the checker does not see any more to the log ``bridge.thread_safety``."""
    logging.getLogger("bridge.thread_safety").warning("%s", text)
