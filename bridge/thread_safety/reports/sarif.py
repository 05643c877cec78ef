"""A report in SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..detector import NOTED
from .report import Report
from .reported_finding import EVIDENCE, ReportedAccess, ReportedFinding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "race": "two threads use one variable, and nothing keeps them apart",
    "note": "two threads use one variable without a lock, which is safe in CPython",
    "order": "locks are taken in both orders",
    "leak": "a call leaves behind what belongs to it",
    "silence": "a silence that silences nothing",
}


def sarif_of(report: Report, version: str) -> dict[str, Any]:
    """The report as a map, ready for JSON.

    Args:
        version: of the bridge.
    """
    results = [_result(each) for each in (*report.findings, *report.notes, *report.silenced)]
    rules = [
        {
            "id": grade,
            "name": f"ThreadSafety{grade.title()}",
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": _level(grade)},
        }
        for grade, text in _RULES.items()
    ]
    notifications = [
        {"level": "error", "message": {"text": text}} for text in (*report.stopped, *report.faults)
    ]
    driver = {"name": "bridge check", "version": version, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "results": results,
        "invocations": [
            {
                "executionSuccessful": not report.stopped,
                "toolExecutionNotifications": notifications,
            }
        ],
        "columnKind": "unicodeCodePoints",
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: ReportedFinding) -> dict[str, Any]:
    why = finding.why or EVIDENCE[finding.evidence]
    also = f" The same goes for {', '.join(finding.together)}." if finding.together else ""
    text = f"{finding.variable}: {finding.problem} ({why}).{also} {finding.advice}"
    # whichever of them was found first
    variable = min([finding.variable, *finding.together])
    result: dict[str, Any] = {
        "ruleId": finding.grade,
        "level": _level(finding.grade),
        "message": {"text": text},
        "partialFingerprints": {"variable/v1": f"{finding.grade}:{variable}"},
        "properties": {"evidence": finding.evidence},
    }
    places = [_location(access) for access in finding.accesses]
    found = [place for place in places if place is not None]
    if found:
        result["locations"] = found[:1]
        result["relatedLocations"] = [{"id": n, **each} for n, each in enumerate(found[1:], 1)]
    flows = [flow for flow in map(_flow, finding.accesses) if flow["locations"]]
    if flows:
        result["codeFlows"] = [{"threadFlows": flows}]
    if finding.because is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.because}]
    return result


def _level(grade: str) -> str:
    return "note" if grade == NOTED else "error"


def _location(access: ReportedAccess) -> dict[str, Any] | None:
    for file, line, name in access.access.shown:
        if file:
            text = f"{access.who} {access.access.did}"
            return {**_physical(file, line, name), "message": {"text": text}}
    return None


def _flow(access: ReportedAccess) -> dict[str, Any]:
    """The way to an access, outermost first; what came first in time has the lower order."""
    steps = [
        {"executionOrder": access.turn, "location": _physical(file, line, name)}
        for file, line, name in reversed(access.access.shown)
        if file
    ]
    return {"id": access.who, "message": {"text": access.access.did}, "locations": steps}


def _physical(file: str, line: int, name: str) -> dict[str, Any]:
    path = Path(file)
    try:
        uri, base = path.resolve().relative_to(Path.cwd()).as_posix(), True
    except ValueError:
        uri, base = path.resolve().as_uri(), False
    place: dict[str, Any] = {"uri": uri}
    if base:
        place["uriBaseId"] = "%SRCROOT%"
    region = {"startLine": max(line, 1)}
    return {
        "physicalLocation": {"artifactLocation": place, "region": region},
        "logicalLocations": [{"name": name, "kind": "function"}],
    }
