"""How the plots look: colours, lines, axes. Needs matplotlib (the extra ``dev``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from .figures import Spread
from .subjects import Subject

#: One colour for each subject in every plot, told apart by the colour-blind, too.
_COLOURS = {
    "bare": "#57606a",
    "erlport": "#d97706",
    "erlport-client": "#a16207",
    "bridge": "#1d4ed8",
    "no-inline": "#60a5fa",
    "client": "#7c3aed",
    "bare-grpc": "#9ca3af",
    "grpc": "#059669",
    "python": "#9ca3af",
}
#: The same on a further interpreter.
_OTHER = {"bare": "#831843", "bridge": "#db2777", "no-inline": "#f472b6"}
INK, FAINT = "#24292f", "#d8dee4"
STYLE = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "text.color": INK,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.frameon": False,
    # the same figures make the same file
    "svg.hashsalt": "bridge",
}


def colour(subject: Subject) -> str:
    return (_OTHER if "@" in subject.name else _COLOURS)[subject.kind]


def line(axes: Any, subject: Subject, points: Sequence[tuple[float, Spread]], **more: Any) -> None:
    """A curve of medians, and a band from the least to the greatest value."""
    xs = [x for x, _ in points]
    style = {"lw": 2.4 if subject.kind == "bridge" else 1.6, "ms": 4, "marker": "o", **more}
    label = style.pop("label", subject.title)
    shade = colour(subject)
    if subject.kind in ("no-inline", "bare-grpc"):
        style.setdefault("ls", "--")
    axes.plot(xs, [s.median for _, s in points], label=label, color=shade, **style)
    axes.fill_between(
        xs, [s.low for _, s in points], [s.high for _, s in points], color=shade, alpha=0.13, lw=0
    )


def single(title: str, x: str, y: str) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(7.6, 4.4))
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def beside(axes: Any) -> None:
    """The legend to the right of the plot, in the order in which the curves end."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda n: -handles[n].get_ydata()[-1])
    axes.legend(
        [handles[n] for n in order],
        [labels[n] for n in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        handlelength=2.4,
        labelspacing=0.8,
    )


def log_x(axes: Any, values: Sequence[float], show: Callable[[float], str]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: show(x)))
    axes.xaxis.set_minor_locator(NullLocator())


def log_y(axes: Any, *steps: float) -> None:
    """A logarithmic axis. ``steps``: what is labelled in each decade (default: its begin)."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=steps or (1.0,), numticks=99))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _short(y)))
    axes.yaxis.set_minor_locator(NullLocator())


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
