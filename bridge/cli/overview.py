"""The statistics of a process as a page of text: what ``bridge top`` shows."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_MICROSECOND_UNITS = ((1_000_000.0, "s"), (1_000.0, "ms"), (1.0, "µs"))
#: So many workers are shown at least, if there are, however many tools there are.
_LEAST_WORKERS = 4


class Sample(NamedTuple):
    """What ``$/stats`` has answered, and when: an instant of ``time.monotonic()``."""

    stats: dict[str, Any]
    at: float


def describe(
    address: str,
    now: Sample,
    last: Sample | None = None,
    fault: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> list[str]:
    """The lines of a page about a process.

    Args:
        address: where it was asked.
        now: the last answer.
        last: the one before it, since which calls and times are counted; None: since the start.
        fault: why there is no newer answer; None: it is the newest.
        width: columns that a line may have at most; None: any number.
        height: lines that may be had at most; None: any number.
    """
    stats = now.stats
    if last is None or last is now:
        seconds, before = stats["uptime_s"], {}
        span = f"since the start, {_age(seconds)} ago"
    else:
        seconds, before = now.at - last.at, last.stats
        span = f"in the last {seconds:.1f} s"
    head = [
        *_head(address, stats, before, seconds, span),
        *([f"NO ANSWER: {fault}"] if fault else ()),
    ]
    tools = _tools(stats["tools"], before.get("tools", {}), seconds)
    workers = _workers(stats, before, seconds)
    others = _others(stats)
    if height is not None:
        room = max(2, height - len(head) - len(others) - 2)
        least = min(len(workers), _LEAST_WORKERS)
        tools = _cut(tools, max(2, room - least - 1))
        workers = _cut(workers, max(1, room - len(tools) - 1))
    lines = [*head, "", *tools, "", *workers, *others]
    return [_fit(_printable(line), width) for line in lines]


def _head(
    address: str, stats: Mapping[str, Any], before: Mapping[str, Any], seconds: float, span: str
) -> list[str]:
    python = stats.get("python") or {}
    facts = [
        f"bridge {address}",
        str(stats["status"]).upper() if stats["status"] != "serving" else "serving",
        f"up {_age(stats['uptime_s'])}",
    ]
    if python.get("version"):
        facts.append(f"Python {python['version']}")
    if stats.get("rss_bytes"):
        facts.append(f"{stats['rss_bytes'] / (1 << 20):.0f} MiB")
    rate = (stats["calls"] - before.get("calls", 0)) / max(seconds, 1e-9)
    errors = (stats["errors"] - before.get("errors", 0)) / max(seconds, 1e-9)
    places = [
        f"workers {stats['busy']}/{stats['max_workers']}",
        f"queue {stats['queued']}/{stats['max_queue']}",
    ]
    if stats.get("max_async"):
        places.append(f"async {stats['async_running']}/{stats['max_async']}")
    abandoned = stats["abandoned"] + stats.get("async_abandoned", 0)
    if abandoned:
        places.append(f"abandoned {abandoned}")
    interrupted = [f"{code} {count}" for code, count in (stats.get("interrupted") or {}).items()]
    return [
        "  ".join(facts),
        f"{'  '.join(places)}  {_number(rate)} calls/s  {_number(errors)} errors/s, {span}",
        *([f"interrupted since the start: {', '.join(interrupted)}"] if interrupted else ()),
    ]


def _tools(tools: Mapping[str, Any], before: Mapping[str, Any], seconds: float) -> list[str]:
    """A table, those that took most of the time first."""
    rows = []
    for name, tool in tools.items():
        earlier = before.get(name) or {}
        calls = tool["calls"] - earlier.get("calls", 0)
        ran_s = tool["run_time"]["total_s"] - (earlier.get("run_time") or {}).get("total_s", 0.0)
        times = [
            bound
            for kind in ("queue_wait", "run_time")
            for bound in _quantiles(tool[kind], earlier.get(kind) or {})
        ]
        row = (
            *(name, _number(calls / max(seconds, 1e-9)), f"{tool['calls']}", f"{tool['errors']}"),
            *(f"{tool['in_flight']}", *times),
        )
        rows.append(((-ran_s, -tool["in_flight"], -tool["calls"], name), row))
    heads = ("TOOL", "CALLS/S", "CALLS", "ERRORS", "NOW", "WAIT P50", "P99", "RUN P50", "P99")
    return _table(heads, [row for _, row in sorted(rows)])


def _workers(stats: Mapping[str, Any], before: Mapping[str, Any], seconds: float) -> list[str]:
    earlier = {
        worker["name"]: worker
        for kind in ("workers", "readers")
        for worker in before.get(kind) or ()
    }
    rows = []
    for worker in (*stats["workers"], *(stats.get("readers") or ())):
        was = earlier.get(worker["name"]) or {"busy_s": 0.0, "calls": 0}
        busy = min(1.0, max(0.0, worker["busy_s"] - was["busy_s"]) / max(seconds, 1e-9))
        doing = worker["tool"] or "-"
        if worker["abandoned"]:
            doing += " (abandoned)"
        rows.append((worker["name"], f"{busy:.0%}", f"{worker['calls']}", doing))
    return _table(("WORKER", "BUSY", "CALLS", "RUNS"), rows, last_left=True) if rows else []


def _others(stats: Mapping[str, Any]) -> list[str]:
    """What else is reported: of an engine, if there is one."""
    engine = stats.get("engine")
    if not engine:
        return []
    facts = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in engine.items()
        if not isinstance(value, dict | list)
    ]
    return ["", f"engine: {', '.join(facts)}"]


def _quantiles(now: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[str, str]:
    """Upper bounds of the median and the 99th percentile of what came in between."""
    earlier = before.get("below_us") or {}
    counts = sorted(
        (int(bound), count - earlier.get(bound, 0)) for bound, count in now["below_us"].items()
    )
    total = sum(count for _, count in counts)
    return _quantile(counts, total, 0.50), _quantile(counts, total, 0.99)


def _quantile(counts: Sequence[tuple[int, int]], total: int, share: float) -> str:
    seen = 0
    for bound, count in counts:
        seen += count
        if count > 0 and seen >= share * total:
            return _duration(bound)
    return "-"


def _duration(microseconds: int) -> str:
    for size, unit in _MICROSECOND_UNITS:
        if microseconds >= size:
            value = microseconds / size
            return f"{value:.1f} {unit}" if value < 10 and size > 1 else f"{value:.0f} {unit}"
    return "0 µs"


def _age(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {whole:02}s" if minutes else f"{whole}s"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], last_left: bool = False
) -> list[str]:
    """Columns as wide as what is in them; the first is on the left, numbers are on the right."""
    everything = [heads, *(map(_printable, row) for row in rows)]
    lines = [list(row) for row in everything]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    left = {0, len(heads) - 1} if last_left else {0}
    return [
        "  ".join(
            text + " " * (width - _width(text))
            if index in left
            else " " * (width - _width(text)) + text
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _cut(table: list[str], height: int) -> list[str]:
    if len(table) <= height:
        return table
    return [*table[: height - 1], f"… and {len(table) - height + 1} more"]


def _printable(text: str) -> str:
    """The same without what would move the cursor of a terminal, or do worse."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _width(text: str) -> int:
    """How many columns it takes."""
    return sum(
        0
        if unicodedata.combining(letter)
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def _fit(line: str, width: int | None) -> str:
    if width is None or _width(line) <= width:
        return line
    while line and _width(line) > width - 1:
        line = line[:-1]
    return line + "…"
