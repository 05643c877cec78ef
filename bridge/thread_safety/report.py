"""Findings and counts, as text for people and as maps for programs."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Any

from .detector import WRONG, Access, Finding
from .libraries import Library

_RULE = "=" * 60
_GRADES = {
    "observed": "the calls came in between each other",
    "discipline": "nothing keeps the accesses apart",
    "documented": "the documentation says that it is not safe",
    "wrong": "no order of the calls explains it",
    "order": "each call waits for the other, if they come at once",
    "leak": "it belongs to one call, and another sees it",
}


class Report:
    """What a checker has found and counted.

    Args:
        findings: what was found, in order.
        counts: what ``CallCounts.describe`` says.
        libraries: those that the program has imported and whose objects threads must not just
            share.
        not_run: tools that a check could not call.
        differences: what tools returned only when they ran at the same time, which need not be
            wrong.
        stopped: that the check did not come to its end, and where each thread stands; a line each.
        faults: of the checker itself.
        forgotten: what it did not see, because it would need too much memory.
    """

    def __init__(
        self,
        findings: Sequence[Finding],
        counts: dict[str, Any],
        libraries: Sequence[Library] = (),
        *,
        not_run: Sequence[str] = (),
        differences: Sequence[str] = (),
        stopped: Sequence[str] = (),
        faults: Sequence[str] = (),
        forgotten: Sequence[str] = (),
    ) -> None:
        # what was seen to be wrong comes first
        ordered = sorted(findings, key=lambda finding: finding.evidence != WRONG)
        ordered = [each for each in ordered if each.grade not in ("note", "clean")]
        self.findings = [ReportedFinding(finding) for finding in ordered]
        self.stopped = list(stopped)
        self.faults = list(faults)
        self.forgotten = list(forgotten)
        self.counts = counts
        self.libraries = list(libraries)
        self.not_run = list(not_run)
        self.differences = list(differences)

    @property
    def failed(self) -> bool:
        """Whether anything was found, or the check did not come to its end."""
        return bool(self.findings or self.stopped)

    def describe(self) -> dict[str, Any]:
        """The report as a map, ready for JSON."""
        return {
            "findings": [finding.describe() for finding in self.findings],
            "recommendations": self._recommendations(),
            "libraries": [library.describe() for library in self.libraries],
            "not_run": self.not_run,
            "differences": self.differences,
            "stopped": self.stopped,
            "faults": self.faults,
            "forgotten": self.forgotten,
            **self.counts,
        }

    @property
    def text(self) -> str:
        """The report for people."""
        lines = [_RULE, "Thread safety report", _RULE, ""]
        tools = self.counts.get("tools", {})
        threads = self.counts.get("threads", {})
        lines += [
            "Summary",
            f"  tools called:      {len(tools)}",
            f"  calls:             {sum(tool['calls'] for tool in tools.values())}",
            f"  threads:           {len(threads)}",
            f"  findings:          {len(self.findings)}",
            "",
        ]
        if tools:
            lines.append("Concurrent accesses")
            for name, tool in sorted(tools.items()):
                lines.append(
                    f"  {name}: {tool['calls']} calls on {tool['threads']} threads, "
                    f"at most {tool['most_at_once']} at once"
                )
            lines.append("")
        if self.stopped:
            lines += ["Stopped", *(f"  {line}" for line in self.stopped), ""]
        for number, finding in enumerate(self.findings, 1):
            lines += [f"Finding {number}", *(f"  {line}" for line in finding.text.splitlines()), ""]
        if self.libraries:
            lines.append("Libraries with limits")
            lines += [f"  {each.name} [{each.level}]: {each.advice()}" for each in self.libraries]
            lines.append("")
        if self.differences:
            lines += [
                "Different from call after call, and expected: the program has a branch for it",
                *(f"  {d}" for d in self.differences),
                "",
            ]
        if self.not_run:
            lines += ["Not run", *(f"  {name}" for name in self.not_run), ""]
        if self.forgotten:
            lines += ["Not seen, for want of room", *(f"  {line}" for line in self.forgotten), ""]
        if self.faults:
            lines.append("Faults of the check itself, of which the program knows nothing")
            lines += [f"  {line}" for fault in self.faults for line in fault.splitlines()] + [""]
        lines.append("Recommendations")
        lines += [f"  - {advice}" for advice in self._recommendations()]
        return "\n".join(lines) + "\n"

    def _recommendations(self) -> list[str]:
        advice = list(dict.fromkeys(f"{f.variable}: {f.advice}" for f in self.findings))
        if self.stopped:
            advice.append("give the check more time, --limit, or see why the calls do not end")
        if not advice:
            advice.append("No race was found in what was run.")
        if self.not_run:
            names = ", ".join(self.not_run)
            advice.append(f"{names}: say how to call it, @tool(examples=[[1, 2], {{'a': 1}}])")
        return advice


class ReportedFinding:
    """One finding, ready to be shown."""

    def __init__(self, finding: Finding) -> None:
        self.grade = finding.grade
        self.evidence = finding.evidence
        self.variable = finding.variable
        self.advice = finding.advice
        self.text = describe_finding(finding)
        self._finding = finding

    def describe(self) -> dict[str, Any]:
        """The finding as a map, ready for JSON."""
        finding = self._finding
        accesses = [a for a in (finding.first, finding.second) if a is not None]
        return {
            "grade": self.grade,
            "evidence": finding.evidence,
            "variable": self.variable,
            "problem": finding.problem,
            "advice": self.advice,
            "accesses": [_describe_access(access) for access in accesses],
        }


def describe_finding(finding: Finding) -> str:
    """What, where by whom under which locks, and what to do. Stacks begin with the access."""
    lines = [f"{finding.variable}: {finding.problem} [{finding.grade}: {_GRADES[finding.evidence]}]"]
    for access in (finding.first, finding.second):
        if access is None:
            continue
        held = "" if access.words else f", {_held(access)}"
        lines.append(f"  thread {access.thread} {access.did}{held}:")
        for file, line, name in access.shown:
            lines.append(f"    {file}:{line} in {name}" if file else f"    in {name}")
            source = linecache.getline(file, line).strip()
            if source:
                lines.append(f"      {source}")
        if access.has_more:
            lines.append("    ... called from further away")
    lines.append(f"  advice: {finding.advice}")
    return "\n".join(lines)


def _held(access: Access) -> str:
    if not access.locks:
        return "without a lock"
    return "holding a lock" if len(access.locks) == 1 else f"holding {len(access.locks)} locks"


def _describe_access(access: Access) -> dict[str, Any]:
    return {
        "thread": access.thread,
        "mode": access.mode,
        "locks": sorted(str(lock) for lock in access.locks),
        "stack": [{"file": f, "line": line, "function": name} for f, line, name in access.shown],
        "stack_has_more": access.has_more,
    }
