"""Findings and counts, as text for people and as maps for programs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..detector import NOTED, Finding
from ..libraries import Library
from .reported_finding import ReportedFinding, group

_RULE = "=" * 60


class Report:
    """What a checker has found and counted.

    Args:
        findings: what was found, in order.
        counts: what ``CallCounts.describe`` says.
        libraries: those that the program has imported and whose objects threads must not just
            share.
        threads: the names of threads, by their numbers.
        silenced: those of the findings that their author has said to be right, and why.
        strict: notes fail it, too.
        not_run: tools that a check could not call.
        misfits: examples that no tool could be called with, and why.
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
        threads: Mapping[Hashable, str] | None = None,
        silenced: Sequence[tuple[Finding, str]] = (),
        strict: bool = False,
        not_run: Sequence[str] = (),
        misfits: Sequence[str] = (),
        differences: Sequence[str] = (),
        stopped: Sequence[str] = (),
        faults: Sequence[str] = (),
        forgotten: Sequence[str] = (),
    ) -> None:
        shown = group(findings, threads)
        #: What fails the check; and what is safe in CPython, if that does not.
        self.findings = [each for each in shown if strict or each.grade != NOTED]
        self.notes = [] if strict else [each for each in shown if each.grade == NOTED]
        self.silenced = _silenced(silenced, threads)
        self.stopped = list(stopped)
        self.faults = list(faults)
        self.forgotten = list(forgotten)
        self.counts = counts
        self.libraries = list(libraries)
        self.not_run = list(not_run)
        self.misfits = list(misfits)
        self.differences = list(differences)

    @property
    def failed(self) -> bool:
        """Whether anything was found, or the check did not come to its end."""
        return bool(self.findings or self.stopped)

    def describe(self) -> dict[str, Any]:
        """The report as a map, ready for JSON."""
        return {
            "findings": [finding.describe() for finding in self.findings],
            "notes": [finding.describe() for finding in self.notes],
            "silenced": [finding.describe() for finding in self.silenced],
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
        ]
        lines += [f"  notes:             {len(self.notes)}"] if self.notes else []
        lines += [f"  silenced:          {len(self.silenced)}"] if self.silenced else []
        lines.append("")
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
        for word, shown in (("Finding", self.findings), ("Note", self.notes)):
            for number, finding in enumerate(shown, 1):
                texts = finding.text.splitlines()
                lines += [f"{word} {number}", *(f"  {line}" for line in texts), ""]
        if self.silenced:
            lines.append("Silenced")
            lines += [
                f"  {each.variable}: {each.problem}, because {each.because} ({each.places})"
                for each in self.silenced
            ]
            lines.append("")
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
        return advice + self.misfits


def _silenced(
    silenced: Sequence[tuple[Finding, str]], threads: Mapping[Hashable, str] | None
) -> list[ReportedFinding]:
    shown: dict[tuple[str, str], ReportedFinding] = {}
    for finding, because in silenced:
        made = ReportedFinding(finding, threads)
        made.because = because
        known = shown.setdefault((made.variable, because), made)
        if known is not made:
            known.add(finding)
    return list(shown.values())
