"""What was seen, for people, and as JSON for programs."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from .histogram import Histogram
from .phases import ALONE, BESIDE
from .run import Sample, Soak

#: A ping that takes longer is a stall of the reader.
_STALL_S = 0.003
_PERCENTS = (50, 90, 99, 99.9)
#: The parts of a run that stand for its begin, its middle and its end. Growth is from the second to
#: the third. Means of many: an allocator that gives pages back, or not, moves RSS by 2 MB.
_PARTS = {"10%": (0.05, 0.15), "50%": (0.4, 0.6), "100%": (0.8, 1.0)}
#: What must not grow, and what explains it if it does: the latter only where it can be had.
GROWS = {
    "rss_mb": "RSS, MB",
    "threads": "threads",
    "fds": "descriptors",
    "blocks": "Python's small blocks",
    "malloc_used_mb": "malloc in use, MB",
    "malloc_free_mb": "malloc free, MB",
    "traced_mb": "tracemalloc, MB",
}
Series = list[tuple[float, float]]
_WORSE = ("lost", "duplicated", "wrong", "unexpected", "stuck")
HEADER = (
    f"{'time':>6} {'calls':>11} {'/s':>7} {'errors':>8} {'lost':>4} {'dupl':>4} {'wrong':>5} "
    f"{'stdio p50 / p99':>16} {'gRPC p50 / p99':>16} {'RSS MB':>7} {'thr':>4} {'fds':>4}"
)


def row(soak: Soak, before: Sample | None, now: Sample) -> str:
    """One line for what happened between two samples, and the errors since the begin by code."""
    seconds = now.elapsed_s - (before.elapsed_s if before else 0.0)
    rate = (now.calls - (before.calls if before else 0)) / seconds if seconds else 0.0
    latencies = []
    for name in ("stdio", "grpc"):
        echo = now.echo.get(name)
        if echo is None:
            latencies.append("-")
            continue
        part = echo.since(before.echo[name]) if before else echo
        latencies.append(f"{part.percentile_ms(50):.2f} / {part.percentile_ms(99):.1f}")
    found = Counter[str]()
    for client in soak.clients.values():
        found.update({word: (client.ledger or {}).get(word, 0) for word in _WORSE})
    errors = errors_by_code(soak)
    vitals = now.vitals
    return (
        f"{_clock(now.elapsed_s):>6} {now.calls:>11,} {rate:>7,.0f} {errors.total():>8,} "
        f"{found['lost']:>4} {found['duplicated']:>4} {found['wrong'] + found['unexpected']:>5} "
        f"{latencies[0]:>16} {latencies[1]:>16} "
        f"{vitals.rss_mb:>7.1f} {vitals.threads:>4} {vitals.fds:>4}"
    )


def errors_by_code(soak: Soak) -> Counter[str]:
    """How many calls ended with each code, over all transports."""
    errors = Counter[str]()
    for client in soak.clients.values():
        for _, code, count in (client.ledger or {}).get("counts", ()):
            if code != "ok":
                errors[code] += count
    return errors


def failures(soak: Soak) -> list[str]:
    """What must not be, in words; empty if all is well."""
    found = list(soak.faults)
    for name, client in soak.clients.items():
        if client.ledger is None:
            found.append(f"{name}: no report")
            continue
        found += [f"{name}: {client.ledger[word]} {word}" for word in _WORSE if client.ledger[word]]
        found += [f"{name}: {text}" for text in client.ledger["findings"]]
    return found


def growth(soak: Soak) -> dict[str, dict[str, float]]:
    """``GROWS`` at 10 %, 50 % and 100 % of the run, and the growth from the middle to the end.

    Only of times with nearly nothing in flight: a message of 1 MiB that is on its way is no growth.
    """
    table = {}
    for name in GROWS:
        series = soak.series(name)
        if series:
            parts = {key: _mean(series, *part) for key, part in _PARTS.items()}
            table[name] = {**parts, "second half": parts["100%"] - parts["50%"]}
    return table


def _mean(series: Series, low: float, high: float) -> float:
    """Of the values in a part of the run; of a short run, the value that is next to it."""
    end = series[-1][0]
    found = [value for when, value in series if low * end <= when <= high * end]
    middle = (low + high) / 2 * end
    return statistics.mean(found or [min(series, key=lambda point: abs(point[0] - middle))[1]])


def summary(soak: Soak) -> str:
    """The tables at the end."""
    lines = ["", f"seed {soak.wish.seed}, {_clock(soak.elapsed_s)} min:s, {soak.calls:,} calls"]
    lines += ["", *_totals(soak), "", *_kinds(soak), "", *_errors(soak)]
    lines += ["", *_latencies(soak), "", *_stalls(soak), "", *_growth(soak)]
    found = failures(soak)
    lines += ["", *(["FOUND"] + [f"  {text}" for text in found] if found else ["all well"])]
    if found and soak.stderr:
        lines += ["", "the bridge's stderr:", soak.stderr]
    return "\n".join(lines)


def to_json(soak: Soak) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "seed": soak.wish.seed,
        "elapsed_s": soak.elapsed_s,
        "calls": soak.calls,
        "transports": {name: client.ledger for name, client in soak.clients.items()},
        "errors": errors_by_code(soak),
        "growth": growth(soak),
        "series": {name: soak.series(name) for name in GROWS},
        "failures": failures(soak),
        "control": {phase: late.to_json() for phase, late in soak.control.late.items()},
        "samples": [
            {
                "elapsed_s": sample.elapsed_s,
                "calls": sample.calls,
                "quiet": sample.quiet,
                **{key: value for key, value in vars(sample.vitals).items() if key != "at"},
                "echo_ms": {
                    name: [echo.percentile_ms(percent) for percent in _PERCENTS]
                    for name, echo in sample.echo.items()
                },
            }
            for sample in soak.samples
        ],
        "stats": soak.stats,
    }


def save(soak: Soak, path: Path) -> None:
    """Write ``to_json``."""
    path.write_text(json.dumps(to_json(soak)))


# -- parts of the summary --------------------------------------------------------------------


def _ledgers(soak: Soak) -> dict[str, dict[str, Any]]:
    return {name: client.ledger for name, client in soak.clients.items() if client.ledger}


def _totals(soak: Soak) -> list[str]:
    names = ["calls", "items", "notes", *_WORSE]
    lines = [f"{'':8}" + "".join(f"{name:>12}" for name in names)]
    for transport, ledger in _ledgers(soak).items():
        lines.append(f"{transport:8}" + "".join(f"{ledger[name]:>12,}" for name in names))
    return lines


def _kinds(soak: Soak) -> list[str]:
    ledgers = _ledgers(soak)
    calls: dict[str, Counter[str]] = {name: Counter() for name in ledgers}
    for name, ledger in ledgers.items():
        for kind, _, count in ledger["counts"]:
            calls[name][kind] += count
    kinds = sorted(
        set().union(*calls.values()), key=lambda kind: -sum(c[kind] for c in calls.values())
    )
    lines = [f"{'calls by kind':22}" + "".join(f"{name:>12}" for name in ledgers)]
    lines += [
        f"{kind:22}" + "".join(f"{calls[name][kind]:>12,}" for name in ledgers) for kind in kinds
    ]
    return lines


def _errors(soak: Soak) -> list[str]:
    ledgers = _ledgers(soak)
    errors: dict[str, Counter[str]] = {name: Counter() for name in ledgers}
    for name, ledger in ledgers.items():
        for _, code, count in ledger["counts"]:
            if code != "ok":
                errors[name][code] += count
    codes = sorted(set().union(*errors.values()))
    lines = [f"{'errors by code':22}" + "".join(f"{name:>12}" for name in ledgers)]
    lines += [
        f"{code:22}" + "".join(f"{errors[name][code]:>12,}" for name in ledgers) for code in codes
    ]
    unexpected = "".join(f"{ledger['unexpected']:>12,}" for ledger in ledgers.values())
    return [*lines, f"{'of these unexpected':22}{unexpected}"]


def _latencies(soak: Soak) -> list[str]:
    heads = "".join(f"{f'p{percent:g}':>9}" for percent in _PERCENTS)
    lines = [f"{'ms':44}{'number':>10}{heads}{'longest':>9}"]

    def line(name: str, times: Histogram) -> None:
        if not times.total:
            return
        values = "".join(f"{times.percentile_ms(percent):>9.2f}" for percent in _PERCENTS)
        lines.append(f"{name:44}{times.total:>10,}{values}{times.longest_s * 1e3:>9.1f}")

    for name, ledger in _ledgers(soak).items():
        line(f"{name}: echo under load", Histogram.from_json(ledger["echo"]))
    stdio = _ledgers(soak).get("stdio")
    if stdio is not None:
        line("stdio: all answered after the last call", Histogram.from_json(stdio["drains"]))
        titles = {
            ALONE: "ping beside tools that turn slow",
            BESIDE: "the same, and gRPC under load",
        }
        for phase, title in titles.items():
            line(title, Histogram.from_json(stdio["pings"][phase]))
            line("  less what threads waited for a CPU", Histogram.from_json(stdio["own"][phase]))
            line("  control: a nap of 1 ms is late by", soak.control.late[phase])
    return lines


def _stalls(soak: Soak) -> list[str]:
    stdio = _ledgers(soak).get("stdio")
    if stdio is None:
        return []
    slow = sum(count for kind, _, count in stdio["counts"] if kind == "turned slow")
    lines = [f"tools turned slow {slow:,} times; {_on_readers(soak):,} calls ran on the reader"]
    beside = ", gRPC under load" if "grpc" in soak.clients else ", before"
    for phase, where in ((ALONE, ""), (BESIDE, beside)):
        pings, own = (Histogram.from_json(stdio[key][phase]) for key in ("pings", "own"))
        lines.append(
            f"stalls of the reader above {_STALL_S * 1e3:.0f} ms{where}: {own.above(_STALL_S)} of "
            f"{own.total:,} pings ({pings.above(_STALL_S)} with the time for which threads had no CPU)"
        )
    return lines


def _on_readers(soak: Soak) -> int:
    return sum(reader["calls"] for reader in (soak.stats or {}).get("readers", ()))


def _growth(soak: Soak) -> list[str]:
    table = growth(soak)
    heads = next(iter(table.values()), {})
    lines = [f"{'nothing in flight':24}" + "".join(f"{head:>13}" for head in heads)]
    for name, figures in table.items():
        values = "".join(f"{value:>13,.1f}" for value in figures.values())
        lines.append(f"{GROWS[name]:24}{values}")
    return lines


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
