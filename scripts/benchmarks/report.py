"""The tables: what was measured, in ratios, and which targets are met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .figures import Results, Spread, paired_ratio
from .loads import LOADS
from .subjects import Subject
from .targets import TARGETS, Target
from .workloads import WORKLOADS, Workload

Row = Sequence[str]


@dataclass(frozen=True)
class Verdict:
    """A target and what was reached; ``met`` is None if it was not measured."""

    target: Target
    subject: str
    figure: Spread | None
    met: bool | None


def verdicts(results: Results, subjects: Mapping[str, Subject]) -> list[Verdict]:
    """Every target, judged by the median."""
    return [
        _judge(results, target, name)
        for target in TARGETS
        for name in _subjects_of(target, subjects)
    ]


def _subjects_of(target: Target, subjects: Mapping[str, Subject]) -> list[str]:
    if not target.subject.endswith("@"):
        return [target.subject]
    found = [
        name
        for name, subject in subjects.items()
        if name.startswith(target.subject) and subject.python and subject.python.free_threaded
    ]
    return found or [target.subject]


def _judge(results: Results, target: Target, subject: str) -> Verdict:
    if target.against is None:
        figure = results.spread(target.workload, subject, target.metric)
    else:
        workload, reference = target.against
        if reference.endswith("@"):
            reference += subject.partition("@")[2]
        figure = paired_ratio(
            results.by_round(target.workload, subject, target.metric),
            results.by_round(workload, reference, target.metric),
        )
    if figure is None:
        return Verdict(target, subject, None, None)
    good = figure.median >= target.bound if target.at_least else figure.median <= target.bound
    return Verdict(target, subject, figure, good)


def target_rows(found: Sequence[Verdict]) -> list[Row]:
    """A header and a row for each target."""
    rows: list[Row] = [("target", "must be", "is", "spread", "")]
    for verdict in found:
        target, figure = verdict.target, verdict.figure
        scale, unit = (1000, "ms") if target.unit == "µs" else (1, target.unit)
        bound = f"{'≥' if target.at_least else '≤'} {number(target.bound / scale)} {unit}".strip()
        if figure is None:
            rows.append((target.text, bound, "not measured", "", ""))
            continue
        # as many digits as decide: 1.3 and 1.31 are not the same
        is_ = f"{_exact(figure.median / scale)} {unit}".strip()
        spread = f"{_exact(figure.low / scale)} .. {_exact(figure.high / scale)}"
        rows.append((target.text, bound, is_, spread, "met" if verdict.met else "MISSED"))
    return rows


def workload_rows(
    results: Results, subjects: Mapping[str, Subject], workload: Workload
) -> list[Row]:
    """A header and a row for each subject of a workload; no rows if none was measured."""
    rows: list[Row] = []
    for name in results.subjects(workload.name):
        subject = subjects[name]
        figure = results.spread(workload.name, name, workload.metric)
        if figure is None:
            continue
        spread = f"{number(figure.low)} .. {number(figure.high)}"
        rows.append(
            (
                subject.title,
                number(figure.median),
                spread,
                _ratio(results, subjects, workload, subject),
                _more(results, workload, name),
            )
        )
    if rows:
        rows.insert(0, ("", workload.unit, "spread", "ratio", ""))
    return rows


def _ratio(
    results: Results, subjects: Mapping[str, Subject], workload: Workload, subject: Subject
) -> str:
    if subject.reference is None or subject.reference not in subjects:
        return ""
    ratio = results.ratio(workload.name, subject.name, subject.reference, workload.metric)
    if ratio is None:
        return ""
    return f"{ratio.median:.2f} x {subjects[subject.reference].title} ({ratio.low:.2f} .. {ratio.high:.2f})"


_LOAD = (
    ("p50_us", "p50 {} µs"),
    ("p99_us", "p99 {} µs"),
    ("p999_us", "p99.9 {} µs"),
    ("cpu_elixir_us", "CPU of Elixir {} µs"),
    ("cpu_python_us", "CPU of Python {} µs"),
    ("calls_s", "{} in a second"),
)
#: Further figures worth a word, with how they are shown.
_EXTRAS = {
    "sequential": (("p99_us", "p99 {} µs"),),
    "calls_back": (("p50_us", "p50 {} µs"),),
    "pinned": (("p99_us", "p99 {} µs"),),
    "sleeps": (("cold_ms", "first time {} ms"),),
    "mixed": (("p99_us", "p99 {} µs"), ("slowdown", "{} x idle")),
    "beside_hog": (("p50_us", "p50 {} µs"),),
    "numpy": (("one_ms", "one {} ms"), ("two_ms", "two {} ms")),
    "cpu": (("one_ms", "one {} ms"), ("two_ms", "two {} ms")),
    "crowded": (("p50_us", "p50 {} µs"), ("p99_us", "p99 {} µs")),
    **{load.name: _LOAD for load in LOADS},
    "startup": (("rss_mib", "{} MiB"),),
    "memory": (("mib_per_process", "as 16 processes {} MiB"),),
    "payload_memory": (("times_payload_parts", "in parts {} x"),),
}


def _more(results: Results, workload: Workload, subject: str) -> str:
    words = []
    for metric, form in _EXTRAS.get(workload.name, ()):
        if metric == workload.metric:
            continue
        figure = results.spread(workload.name, subject, metric)
        if figure is not None and figure.median:
            words.append(form.format(number(figure.median)))
    return ", ".join(words)


def growth_rows(results: Results, subjects: Mapping[str, Subject], workload: Workload) -> list[Row]:
    """A header with every second value of x, and a row of medians for each subject."""
    curves = {
        name: dict(results.points(workload.name, name)) for name in results.subjects(workload.name)
    }
    values = sorted({x for curve in curves.values() for x in curve})
    if not values:
        return []
    # few enough for a page, the first and the last among them
    step = max(math.ceil(len(values) / 7), 1)
    shown = sorted({*values[::step], values[-1]})
    rows: list[Row] = [(workload.unit, *(amount(x, workload) for x in shown))]
    for name, curve in curves.items():
        cells = (number(curve[x].median) if x in curve else "" for x in shown)
        rows.append((subjects[name].title, *cells))
    return rows


def amount(x: float, workload: Workload) -> str:
    """A value on the x axis, for people: 4096 bytes are 4 KiB."""
    if workload.job != "payload":
        return f"{x:,.0f}"
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if x >= size:
            return f"{x / size:.0f} {unit}"
    return f"{x:.0f} B"


def number(value: float) -> str:
    """Three digits or so, and thousands parted by commas."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def _exact(value: float) -> str:
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def missing_lines(subjects: Mapping[str, Subject]) -> list[str]:
    """Those that could not be had, and how to get them."""
    return [
        f"{subject.title}: not here: {subject.missing}"
        for subject in subjects.values()
        if subject.missing is not None
    ]


def sections(results: Results, subjects: Mapping[str, Subject]) -> Iterator[tuple[str, list[Row]]]:
    """Title and rows of each table after the targets."""
    for workload in WORKLOADS:
        make = growth_rows if workload.growth else workload_rows
        rows = make(results, subjects, workload)
        if rows:
            yield workload.title, rows


def as_text(rows: Sequence[Row]) -> str:
    """Columns of equal width; numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i and cell[:1].isdigit() else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def as_markdown(rows: Sequence[Row]) -> str:
    """The same as a table of Markdown, whose first column is text."""
    header, *body = rows
    rule = ["---", *("---:" if i < len(header) - 1 else "---" for i in range(1, len(header)))]
    lines = [header, rule, *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
