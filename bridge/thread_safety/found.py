"""What was found so far, by whom it is asked, and who is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from .detector import CLEAN, NOTED, Finding, ThreadSafetyError
from .reports import describe_finding
from .silences import Silences

#: Grades that say that nobody is harmed.
_HARMLESS = (NOTED, CLEAN)


class FoundSoFar:
    """The findings of one checker, each once. Any thread may call.

    Args:
        strict: whoever completes a race, or what is safe in CPython alone, gets an exception.
        note: called with each finding that is no note, once, on the thread that found it.
        silences: which findings are none.
    """

    def __init__(self, strict: bool, note: Callable[[Finding], object], silences: Silences) -> None:
        self._strict = strict
        self._note = note
        self._silences = silences
        self._telling = threading.local()
        #: By key: what could be none may turn out to be one.
        self._findings: dict[Hashable, Finding] = {}
        self._told: set[Hashable] = set()

    def add(self, finding: Finding) -> None:
        """It was found. Raises ``ThreadSafetyError`` in strict mode."""
        if getattr(self._telling, "busy", False):
            return
        self._findings[finding.key] = finding
        if finding.grade == CLEAN or (finding.grade == NOTED and not self._strict):
            return
        self._telling.busy = True  # telling may run code that is watched itself
        try:
            if not self._silences.part([finding])[0]:
                return
            self._told.add(finding.key)
            self._note(finding)
        finally:
            self._telling.busy = False
        if self._strict:
            raise ThreadSafetyError(describe_finding(finding))

    def tell(self) -> None:
        """Tell of those that have turned out to be races since."""
        for finding in self.all():
            if finding.doubt is None or finding.key in self._told or finding.grade in _HARMLESS:
                continue
            if self._silences.part([finding])[0]:
                self._told.add(finding.key)
                self._note(finding)

    def all(self) -> list[Finding]:
        """All, in order, silenced ones and harmless ones included."""
        return list(self._findings.values())

    def parted(self) -> tuple[list[Finding], list[tuple[Finding, str]]]:
        """Those that nobody silences; and those that somebody does, with the reasons."""
        return self._silences.part(self.all())

    def of(self, *grades: str) -> list[Finding]:
        """Those of these grades that nobody silences."""
        return [each for each in self.parted()[0] if each.grade in grades]
