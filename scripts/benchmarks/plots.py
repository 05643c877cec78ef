"""The plots. Needs matplotlib (the extra ``dev``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from .canvas import FAINT, INK, STYLE, beside, colour, line, log_x, log_y, single
from .figures import Results, Spread
from .report import amount
from .subjects import Subject
from .workloads import WORKLOADS

_BY_NAME = {workload.name: workload for workload in WORKLOADS}


def write(directory: Path, results: Results, subjects: Mapping[str, Subject]) -> list[str]:
    """Draw every plot for which there are figures. Returns the names of the files."""
    written = []
    with mpl.rc_context(STYLE):
        for name, draw in _PLOTS.items():
            figure = draw(_Data(results, subjects))
            if figure is None:
                continue
            figure.savefig(
                directory / f"{name}.svg",
                bbox_inches="tight",
                pad_inches=0.15,
                metadata={"Date": None},
            )
            plt.close(figure)
            written.append(f"{name}.svg")
    return written


class _Data:
    """The results, as the plots want them."""

    def __init__(self, results: Results, subjects: Mapping[str, Subject]) -> None:
        self.results = results
        self.subjects = subjects

    def curves(
        self, workload: str, key: str = "points"
    ) -> Iterator[tuple[Subject, Sequence[tuple[float, Spread]]]]:
        """The curve of each subject of a workload, in the order of the tables."""
        measured = self.results.subjects(workload)
        for name, subject in self.subjects.items():
            points = self.results.points(workload, name, key) if name in measured else []
            if points:
                yield subject, points


# -- the plots --------------------------------------------------------------------------------


def _ratios(data: _Data) -> Any:
    """How each does against the bare loop, or bare grpcio: to the right is better."""
    names = ("pinned", "window", "binary", "tensor", "stream")
    rows = []
    for workload in (_BY_NAME[name] for name in names):
        for name in data.results.subjects(workload.name):
            subject = data.subjects[name]
            if subject.reference not in data.subjects:
                continue
            ours = data.results.by_round(workload.name, name, workload.metric)
            theirs = data.results.by_round(workload.name, str(subject.reference), workload.metric)
            pairs = [(ours[n], theirs[n]) for n in ours.keys() & theirs.keys()]
            # as a speed: above 1 is quicker than the reference
            up = workload.higher_is_better
            speed = Spread.of(a / b if up else b / a for a, b in pairs)
            if speed is not None:
                rows.append((workload, subject, speed))
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(7.6, 0.27 * len(rows) + 0.35 * len(names) + 1.0))
    axes.set_title("Speed, against the bare loop (gRPC: against bare grpcio)")
    y, previous, seen = 0.0, None, {}
    for workload, subject, speed in rows:
        if workload is not previous:
            y -= 0.9 if previous else 0.0
            axes.text(
                0.0,
                y,
                workload.title,
                transform=axes.get_yaxis_transform(),
                va="center",
                weight="bold",
            )
            y -= 1.0
            previous = workload
        bar = axes.barh(y, speed.median, height=0.72, color=colour(subject))
        seen.setdefault(subject.title, bar)
        axes.plot([speed.low, speed.high], [y, y], color=INK, lw=1, solid_capstyle="butt")
        axes.text(speed.high, y, f"  {speed.median:.2f}", va="center", fontsize=8.5)
        y -= 0.92
    axes.axvline(1, color=INK, lw=1, ls=":")
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("times the speed of the reference; the thin line is the spread over the rounds")
    axes.set_ylim(y + 0.4, 0.8)
    axes.set_xlim(0, max(s.high for _, _, s in rows) * 1.08)
    axes.legend(
        seen.values(), seen.keys(), loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=0.8
    )
    return figure


def _in_flight(data: _Data) -> Any:
    return _growth(
        data,
        "growth_in_flight",
        "Throughput of echo, by calls in flight",
        "calls in flight",
        "calls/s",
    )


def _payload(data: _Data) -> Any:
    return _growth(
        data, "growth_payload", "Echo of binaries, by their size", "size", "MB/s, in one direction"
    )


def _growth(data: _Data, name: str, title: str, x: str, y: str) -> Any:
    workload = _BY_NAME[name]
    curves = list(data.curves(name))
    if not curves:
        return None
    figure, axes = single(title, x, y)
    values = sorted({x for _, points in curves for x, _ in points})
    for subject, points in curves:
        line(axes, subject, points)
    log_x(axes, values[::-2] if len(values) > 10 else values, lambda x: amount(x, workload))
    log_y(axes)
    beside(axes)
    return figure


def _costs(data: _Data) -> Any:
    """What one call of echo costs, by what there is more and more of: a flat line is as it should be."""
    panels = (
        ("growth_wide", "by calls in flight", "calls in flight"),
        ("growth_calls", "by calls made before", "calls"),
        ("growth_tools_calls", "by tools of the adapter", "tools"),
    )
    if not all(list(data.curves(name)) for name, _, _ in panels):
        return None
    figure, columns = plt.subplots(1, 3, figsize=(11.6, 3.4), layout="constrained", sharey=True)
    for axes, (name, title, x) in zip(columns, panels, strict=True):
        curves = list(data.curves(name))
        axes.set_title(f"Cost of a call, {title}")
        for subject, points in curves:
            line(axes, subject, points)
        values = sorted({x for _, points in curves for x, _ in points})
        log_x(axes, values[:: 2 if len(values) > 5 else 1], lambda x: f"{x:,.0f}")
        axes.set_xlabel(x)
    log_y(columns[0])
    columns[0].set_ylabel("µs, with the caller's")
    columns[1].legend(loc="upper right")
    return figure


def _workers(data: _Data) -> Any:
    curves = list(data.curves("growth_workers"))
    if not curves:
        return None
    figure, axes = single("Calls of a tool that sleeps 10 ms, by workers", "workers", "calls/s")
    values = sorted({x for _, points in curves for x, _ in points})
    ideal = [x / 0.01 for x in values]
    axes.plot(values, ideal, color=FAINT, lw=5, label="ideal: workers / 10 ms", zorder=0)
    for subject, points in curves:
        if subject.single:
            # it has one thread, whatever it is given
            flat = [(x, points[0][1]) for x in values]
            line(axes, subject, flat, ls=":", marker="", label=f"{subject.title}: one thread")
        else:
            line(axes, subject, points)
    log_x(axes, values, lambda x: f"{x:.0f}")
    log_y(axes, 1, 2, 5)
    beside(axes)
    return figure


def _startup(data: _Data) -> Any:
    bars = []
    for name in data.results.subjects("startup"):
        spread = data.results.spread("startup", name, "ms")
        if spread is not None:
            bars.append((data.subjects[name], spread))
    curves = list(data.curves("growth_tools"))
    if not (bars and curves):
        return None
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.6, 3.4), width_ratios=(1.25, 1), layout="constrained"
    )
    left.set_title("Until it serves")
    for y, (subject, spread) in enumerate(reversed(bars)):
        left.barh(y, spread.median, height=0.65, color=colour(subject))
        left.plot([spread.low, spread.high], [y, y], color=INK, lw=1)
        left.text(spread.high, y, f"  {spread.median:.0f} ms", va="center", fontsize=8.5)
    left.set_yticks(range(len(bars)), [subject.title for subject, _ in reversed(bars)])
    left.grid(axis="y", visible=False)
    left.set_xlim(0, max(s.high for _, s in bars) * 1.2)
    left.set_xlabel("ms")
    right.set_title("By tools of the adapter")
    values = sorted({x for _, points in curves for x, _ in points})
    for subject, points in curves:
        line(right, subject, points)
    log_x(right, values, lambda x: f"{x:,.0f}")
    log_y(right, 1, 2, 5)
    right.set_xlabel("tools")
    right.set_ylabel("ms until it serves")
    right.legend(loc="upper left")
    return figure


def _memory(data: _Data) -> Any:
    alone = list(data.curves("memory", "processes"))
    threads = list(data.curves("memory", "threads"))
    if not alone:
        return None
    figure, axes = single(
        "Memory of all processes, by calls that can run at once", "calls at once", "MiB (PSS)"
    )
    values = sorted({x for _, points in (*alone, *threads) for x, _ in points})
    for subject, points in alone:
        label = f"{subject.title}: a process for each"
        line(
            axes, subject, points, label=label, ls="--" if subject.kind == "bridge" else "-", lw=1.6
        )
    for subject, points in threads:
        line(axes, subject, points, label=f"{subject.title}: up to 16 threads in each process")
    log_x(axes, values, lambda x: f"{x:.0f}")
    log_y(axes, 1, 2, 5)
    axes.set_ylim(bottom=2)
    beside(axes)
    return figure


def _beside_hog(data: _Data) -> Any:
    curves = list(data.curves("beside_hog", "quantiles_us"))
    if not curves:
        return None
    figure, axes = single(
        "Echo while another tool computes in Python", "share of the calls", "answered within, ms"
    )
    for subject, points in curves:
        # so that 90, 99 and 99.9 % are as far apart as they matter
        spread = [
            (1 / (1 - share), Spread(s.median / 1000, s.low / 1000, s.high / 1000, s.count))
            for share, s in points
            if share < 0.9985
        ]
        line(axes, subject, spread, marker="")
    shares = {
        1 / (1 - share): f"{share:.1%}".replace(".0", "") for share in (0, 0.5, 0.9, 0.99, 0.998)
    }
    log_x(axes, list(shares), lambda x: shares[min(shares, key=lambda s: abs(s - x))])
    log_y(axes)
    axes.axhline(3, color=INK, lw=1, ls=":")
    axes.text(1.05, 3, "3 ms", va="bottom", fontsize=8.5)
    beside(axes)
    return figure


_PLOTS: dict[str, Callable[[_Data], Any]] = {
    "ratios": _ratios,
    "in-flight": _in_flight,
    "payload": _payload,
    "costs": _costs,
    "workers": _workers,
    "start-up": _startup,
    "memory": _memory,
    "beside-a-hog": _beside_hog,
}
