"""Findings as they are shown: one for each fault, with its accesses, the guilty one first."""

from __future__ import annotations

import linecache
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..detector import (
    CLEAN,
    DISCIPLINE,
    DOCUMENTED,
    LOOKS,
    NOTED,
    OBSERVED,
    RACE,
    WRONG,
    Access,
    Finding,
    Frame,
    Harmless,
)

#: What the evidence of each finding is, in words.
EVIDENCE = {
    "observed": "the calls came in between each other",
    "discipline": "nothing keeps the accesses apart",
    "documented": "the documentation says that it is not safe",
    "wrong": "no order of the calls explains it",
    "order": "each call waits for the other, if they come at once",
    "leak": "it belongs to one call, and another sees it",
    "silence": "a silence that silences nothing hides the next fault",
}
#: The mode of what is no access, but stands in a file.
STANDS = "stand"
_ADVICE_ON_NOTES = (
    "nothing has to be done in CPython; a lock, or a comment, says so to who changes it"
)
_KEYS = re.compile(r"\[[^\[\]]*\]")


class ReportedAccess:
    """One of the accesses of a finding, ready to be shown.

    Args:
        access: what the detector knows of it.
        number: of its thread.
        name: of its thread; empty: it is not known.
        turn: 1 if it came first, 2 if it came second.
    """

    def __init__(self, access: Access, number: Any, name: str, turn: int) -> None:
        self.access = access
        self.number = number
        self.name = name
        self.turn = turn

    @property
    def who(self) -> str:
        """Its thread, in words."""
        if self.access.mode == STANDS:
            return "what silences"
        return f"thread {self.number} ({self.name})" if self.name else f"thread {self.number}"

    @property
    def held(self) -> str:
        """Which locks it held, in words; empty where that says nothing."""
        if self.access.words:
            return ""
        count = len(self.access.locks)
        return (
            ("without a lock", "holding a lock")[count] if count < 2 else f"holding {count} locks"
        )

    def describe(self) -> dict[str, Any]:
        """The access as a map, ready for JSON."""
        access = self.access
        described = {
            "thread": self.number,
            "thread_name": self.name,
            "mode": access.mode,
            "does": access.did,
            "turn": self.turn,
            "locks": sorted(str(lock) for lock in access.locks),
            "stack": [_describe_frame(frame) for frame in access.shown],
            "stack_has_more": access.has_more,
        }
        if access.decided_at is not None:
            described["looked_at"] = _describe_frame(access.decided_at)
        return described


class ReportedFinding:
    """One fault, ready to be shown.

    Args:
        finding: the first that was found of it.
        threads: the names of threads, by their numbers.
    """

    def __init__(self, finding: Finding, threads: Mapping[Hashable, str] | None = None) -> None:
        self._threads = threads or {}
        self._finding = finding
        self.grade = finding.grade
        self.evidence = finding.evidence
        self.variable = finding.variable
        self.problem = finding.problem
        self.advice = finding.advice
        #: Why it is a note, or a race in spite of what a note would be.
        self.why = _why(finding)
        if self.grade == NOTED and not isinstance(finding.doubt, Harmless):
            self.advice = _ADVICE_ON_NOTES
        self.accesses = self._accesses(finding)
        #: Other variables over which the same functions fight, with the same locks missing.
        self.together: list[str] = []
        self._fights = {_fight(finding)}
        #: The functions that its accesses come from, with their files.
        self.files_and_functions = _functions(finding)
        #: The other pairs of places of the same fault, and what was seen to go wrong, a line each.
        self.also: list[str] = []
        self.seen: list[str] = []
        #: Why its author says that it is right.
        self.because: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether it fails a check that is not strict."""
        return self.grade not in (NOTED, CLEAN) and self.because is None

    def add(self, finding: Finding) -> None:
        """The same fault was found at other places."""
        if finding.evidence == OBSERVED and self.evidence == DISCIPLINE:
            self.evidence = OBSERVED
        self._fights.add(_fight(finding))
        self.files_and_functions |= _functions(finding)
        places = " and ".join(_place(access.stack) for access in _both(finding))
        if places not in self.also and places != self.places:
            self.also.append(places)

    def is_one_with(self, other: ReportedFinding) -> bool:
        """Whether one lock, missing in the same two functions, would mend both."""
        return (
            self.grade == other.grade == RACE
            and self._finding.second is not None
            and DOCUMENTED not in (self.evidence, other.evidence)
            and not self._fights.isdisjoint(other._fights)
        )

    def join(self, other: ReportedFinding) -> None:
        """Another variable is a part of the same fault."""
        self.together.append(other.variable)
        if other.evidence == OBSERVED and self.evidence == DISCIPLINE:
            self.evidence = OBSERVED
        self.also += [f"{other.variable} at {places}" for places in (other.places, *other.also)]
        self._fights |= other._fights
        self.files_and_functions |= other.files_and_functions

    def saw(self, finding: Finding) -> None:
        """A call returned or raised what this fault explains."""
        self.seen.append(f"{finding.variable} {finding.problem}")
        if finding.evidence == WRONG and self.evidence in (OBSERVED, DISCIPLINE):
            self.evidence = WRONG

    @property
    def places(self) -> str:
        """Where its accesses are."""
        return " and ".join(_place(access.stack) for access in _both(self._finding))

    def describe(self) -> dict[str, Any]:
        """The finding as a map, ready for JSON."""
        described = {
            "grade": self.grade,
            "evidence": self.evidence,
            "variable": self.variable,
            "problem": self.problem,
            "advice": self.advice,
            "together": self.together,
            "accesses": [access.describe() for access in self.accesses],
            "also": self.also,
            "seen": self.seen,
        }
        described |= {"why": self.why} if self.why else {}
        return described | ({"because": self.because} if self.because is not None else {})

    @property
    def text(self) -> str:
        """What, where by whom under which locks, and what to do. Stacks begin with the access."""
        why = self.why or EVIDENCE[self.evidence]
        lines = [f"{self.variable}: {self.problem} [{self.grade}: {why}]"]
        if self.together:
            lines.append(f"  the same goes for {', '.join(self.together)}")
        lines += [f"  seen: {line}" for line in self.seen]
        for shown in self.accesses:
            access = shown.access
            held = f", {shown.held}" if shown.held else ""
            lines.append(f"  {shown.who} {access.did}{held}:")
            for file, line, name in access.shown:
                lines.append(f"    {file}:{line} in {name}" if file else f"    in {name}")
                source = linecache.getline(file, line).strip()
                if source:
                    lines.append(f"      {source}")
            if access.has_more:
                lines.append("    ... called from further away")
        if self.also:
            lines.append("  also at:")
            lines += [f"    {places}" for places in self.also[:5]]
            lines += ["    ..."] if len(self.also) > 5 else []
        lines.append(f"  advice: {self.advice}")
        return "\n".join(lines)

    def _accesses(self, finding: Finding) -> list[ReportedAccess]:
        accesses = _both(finding)
        shown = [
            ReportedAccess(access, access.thread, self._threads.get(access.thread, ""), turn)
            for turn, access in enumerate(accesses, 1)
        ]
        if len(shown) == 2 and shown[0].number == shown[1].number:
            # two tasks on the thread of their event loop
            number = max((n for n in self._threads if isinstance(n, int)), default=shown[1].number)
            shown[1].number = number + 1
            shown[1].name = f"another task on thread {shown[0].number}"
        return sorted(shown, key=_innocence)


def group(
    findings: Sequence[Finding], threads: Mapping[Hashable, str] | None = None
) -> list[ReportedFinding]:
    """The findings with one for each fault: what was seen to be wrong first, notes last.

    A note on a variable over which there is a race is a part of that; so is what a call returned or
    raised that uses such a variable, and the other variables that the same functions fight over.
    """
    found: dict[tuple[str, str], ReportedFinding] = {}
    alone = [
        each for each in findings if each.second is None and each.evidence in (WRONG, OBSERVED)
    ]
    for finding in sorted(findings, key=lambda each: each.grade == NOTED):
        if finding.grade == CLEAN or finding in alone:
            continue
        key = ("" if finding.grade == NOTED else finding.grade), base_name(finding.variable)
        known = found.get(key)
        if finding.grade == NOTED and ("race", key[1]) in found:
            continue
        if known is None:
            found[key] = ReportedFinding(finding, threads)
        else:
            known.add(finding)
    shown: list[ReportedFinding] = []
    for each in found.values():
        whole = next((other for other in shown if other.is_one_with(each)), None)
        if whole is None:
            shown.append(each)
        else:
            whole.join(each)
    for finding in alone:
        places = {(file, name) for file, _, name in finding.first.stack[:1]}
        of = [e for e in shown if e.grade == "race" and e.files_and_functions & places]
        if of:
            of[0].saw(finding)
        else:
            shown.append(ReportedFinding(finding, threads))
    return sorted(
        shown, key=lambda each: (each.grade == NOTED, each.evidence != WRONG and not each.seen)
    )


def describe_finding(finding: Finding) -> str:
    """One finding as text for people."""
    return ReportedFinding(finding).text


def base_name(variable: str) -> str:
    """The variable without the keys of items: ``self.counts['a']`` and all others are one."""
    name = _KEYS.sub("[…]", variable)
    while name.endswith("[…]"):
        name = name.removesuffix("[…]")
    return name


def _why(finding: Finding) -> str:
    if finding.doubt is None:
        return ""
    if finding.grade == NOTED:
        return f"safe in CPython: {finding.doubt.kind}"
    return finding.doubt.harm or ""


def _fight(finding: Finding) -> frozenset[Any]:
    """Which functions fight, and what each of them holds."""
    return frozenset(
        (access.stack[0][0], access.stack[0][2], access.locks)
        for access in _both(finding)
        if access.stack
    )


def _functions(finding: Finding) -> set[tuple[str, str]]:
    return {(f, name) for access in _both(finding) for f, _, name in access.stack}


def _both(finding: Finding) -> list[Access]:
    return [access for access in (finding.first, finding.second) if access is not None]


def _innocence(shown: ReportedAccess) -> tuple[bool, bool]:
    """The guilty one comes first: who holds no lock, and of those who writes."""
    return bool(shown.access.locks), shown.access.mode in LOOKS


def _place(stack: Sequence[Frame]) -> str:
    if not stack:
        return "an unknown place"
    file, line, name = stack[0]
    return f"{file}:{line} in {name}" if file else name


def _describe_frame(frame: Frame) -> dict[str, Any]:
    file, line, name = frame
    return {"file": file, "line": line, "function": name}
