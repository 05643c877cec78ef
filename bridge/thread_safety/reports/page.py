"""A report as one page of HTML that needs nothing else: both sides of each finding side by side."""

from __future__ import annotations

import linecache
from html import escape

from .report import Report
from .reported_finding import EVIDENCE, ReportedAccess, ReportedFinding

#: How many lines of the source stand above and below that of an access.
_AROUND = 3
_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de;
  --soft: #f6f8fa; --mark: #fff3bf; --race: #b42318; --note: #1f6feb; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --dim: #9198a1;
  --line: #3d444d; --soft: #161b22; --mark: #4d3800; --race: #ff7b72; --note: #79c0ff; --good: #56d364; } }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 76rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 0; }
p { margin: .4rem 0; } .dim { color: var(--dim); } a { color: var(--note); }
.verdict { font-weight: 600; } .failed { color: var(--race); } .passed { color: var(--good); }
section { border: 1px solid var(--line); border-radius: 8px; margin: 1.2rem 0; padding: 1rem; }
.grade { border: 1px solid currentColor; border-radius: 1em; color: var(--race); font-size: .85rem;
  margin-right: .5em; padding: .05em .7em; } .grade.note, .grade.silenced { color: var(--note); }
.sides { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  margin: .8rem 0; } .side { min-width: 0; } .side h3 { font-size: 1rem; margin: 0 0 .3rem; }
pre { background: var(--soft); border-radius: 6px; font: 14px/1.45 ui-monospace, monospace; margin: .3rem 0;
  overflow-x: auto; padding: .5rem; } pre span { display: block; } pre .here { background: var(--mark); }
ol, ul { margin: .3rem 0; padding-left: 1.4rem; } li { overflow-wrap: anywhere; }
code { font: 14px ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { border-bottom: 1px solid var(--line); padding: .2rem 1rem .2rem 0;
  text-align: left; }
"""


def page_of(report: Report, title: str) -> str:
    """The report as a page.

    Args:
        title: what was checked.
    """
    body = [f"<h1>Thread safety of {escape(title)}</h1>", _summary(report)]
    body += [_list("The check did not come to its end", report.stopped)] if report.stopped else []
    for number, finding in enumerate(report.findings, 1):
        body.append(_section(finding, f"Finding {number}", finding.grade))
    for number, finding in enumerate(report.notes, 1):
        body.append(_section(finding, f"Note {number}", "note"))
    for finding in report.silenced:
        body.append(_section(finding, "Silenced", "silenced"))
    for heading, lines in (
        ("Libraries with limits", [each.advice() for each in report.libraries]),
        ("Different at once, and expected", report.differences),
        ("Not run: give examples", report.not_run),
        ("Not seen, for want of room", report.forgotten),
        ("Faults of the check itself", report.faults),
    ):
        if lines:
            body.append(_list(heading, lines))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Thread safety of {escape(title)}</title><style>{_STYLE}</style>"
    )
    page = "\n".join(body)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{page}\n</body></html>\n'


def _summary(report: Report) -> str:
    tools = report.counts.get("tools", {})
    calls = sum(tool["calls"] for tool in tools.values())
    counts = f"{len(report.findings)} findings, {len(report.notes)} notes, {len(report.silenced)} silenced"
    word, kind = ("Failed", "failed") if report.failed else ("Passed", "passed")
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{tool['calls']}</td><td>{tool['threads']}</td>"
        f"<td>{tool['most_at_once']}</td></tr>"
        for name, tool in sorted(tools.items())
    )
    table = (
        "<table><tr><th>tool</th><th>calls</th><th>threads</th><th>most at once</th></tr>"
        f"{rows}</table>"
    )
    return (
        f'<p class="verdict {kind}">{word}: {counts}</p>'
        f'<p class="dim">{len(tools)} tools, {calls} calls</p>{table if tools else ""}'
    )


def _section(finding: ReportedFinding, heading: str, grade: str) -> str:
    why = finding.why or EVIDENCE[finding.evidence]
    parts = [
        f'<h2><span class="grade {escape(grade)}">{escape(grade)}</span>'
        f"{escape(heading)}: <code>{escape(finding.variable)}</code></h2>",
        f"<p>{escape(finding.problem)} <span class=dim>({escape(why)})</span></p>",
    ]
    if finding.together:
        names = ", ".join(f"<code>{escape(name)}</code>" for name in finding.together)
        parts.append(f"<p>The same goes for {names}.</p>")
    parts += [f"<p><b>Seen:</b> {escape(line)}</p>" for line in finding.seen]
    if finding.because is not None:
        parts.append(f"<p><b>Silenced because</b> {escape(finding.because)}</p>")
    sides = "".join(map(_side, finding.accesses))
    parts.append(f'<div class="sides">{sides}</div>')
    if len(finding.accesses) == 2:
        parts.append(f"<p><b>In time:</b></p><ol>{_in_time(finding)}</ol>")
    if finding.also:
        items = "".join(f"<li><code>{escape(places)}</code></li>" for places in finding.also)
        parts.append(f"<details><summary>also at ({len(finding.also)})</summary>")
        parts.append(f"<ul>{items}</ul></details>")
    parts.append(f"<p><b>Advice:</b> {escape(finding.advice)}</p>")
    return f"<section>{''.join(parts)}</section>"


def _side(shown: ReportedAccess) -> str:
    access = shown.access
    held = f", {shown.held}" if shown.held else ""
    parts = [f"<h3>{escape(shown.who)} {escape(access.did)}{escape(held)}</h3>"]
    if access.decided_at is not None:
        file, line, _ = access.decided_at
        parts.append(f"<p class=dim>decided by a look at line {line}:</p>{_source(file, line, 0)}")
    stack = [frame for frame in access.shown if frame[0]]
    for index, (file, line, name) in enumerate(stack):
        parts.append(f"<p><code>{escape(file)}:{line}</code> in <code>{escape(name)}</code></p>")
        parts.append(_source(file, line, 0 if index else _AROUND))
    if not stack:
        parts += [f"<p>in <code>{escape(name)}</code></p>" for _, _, name in access.shown]
    if access.has_more:
        parts.append('<p class="dim">called from further away</p>')
    return f'<div class="side">{"".join(parts)}</div>'


def _source(file: str, line: int, around: int) -> str:
    lines = []
    for number in range(max(1, line - around), line + around + 1):
        text = linecache.getline(file, number).rstrip()
        if text or number == line:
            kind = ' class="here"' if number == line else ""
            lines.append(f"<span{kind}>{number:>5}  {escape(text)}</span>")
    return f"<pre>{''.join(lines)}</pre>"


def _in_time(finding: ReportedFinding) -> str:
    steps = []
    for shown in sorted(finding.accesses, key=lambda each: each.turn):
        access = shown.access
        if access.decided_at is not None:
            steps.append(f"{shown.who} looks at it, at line {access.decided_at[1]}")
        place = f", at line {access.stack[0][1]}" if access.stack and access.stack[0][0] else ""
        steps.append(f"{shown.who} {access.did}{place}")
    return "".join(f"<li>{escape(step)}</li>" for step in steps)


def _list(heading: str, lines: list[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>{escape(heading)}</h2><ul>{items}</ul></section>"
