"""The samples of a soak as a picture, or as a table if matplotlib is not there."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

from .run import Sample


def draw(samples: list[Sample], path: Path) -> Path:
    """Write a picture, PNG or SVG by the name. Without matplotlib: CSV. Returns what was written."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return _write_csv(samples, path.with_suffix(".csv"))

    figure, panels = pyplot.subplots(4, 1, figsize=(9, 11), sharex=True, layout="constrained")
    minutes = [sample.elapsed_s / 60 for sample in samples]
    pairs = [(a, b) for a, b in pairwise(samples) if b.elapsed_s - a.elapsed_s > 0.3]
    later = [b.elapsed_s / 60 for _, b in pairs]
    rates = [(b.calls - a.calls) / (b.elapsed_s - a.elapsed_s) for a, b in pairs]
    panels[0].plot(later, rates, linewidth=0.8)
    panels[0].set_ylabel("calls/s")
    for name in samples[-1].echo if samples else ():
        for percent, style in ((50, "-"), (99, ":")):
            parts = [b.echo[name].since(a.echo[name]).percentile_ms(percent) for a, b in pairs]
            panels[1].plot(later, parts, style, linewidth=0.8, label=f"{name} p{percent}")
    panels[1].set_ylabel("echo, ms")
    panels[1].set_yscale("log")
    panels[1].legend(fontsize="small")
    panels[2].plot(minutes, [s.vitals.rss_mb for s in samples], linewidth=0.6, alpha=0.5)
    quiet = [s for s in samples if s.quiet]
    panels[2].plot([s.elapsed_s / 60 for s in quiet], [s.vitals.rss_mb for s in quiet], ".-")
    panels[2].set_ylabel("RSS, MB (dots: nothing in flight)")
    panels[3].plot(minutes, [s.vitals.threads for s in samples], label="threads")
    panels[3].plot(minutes, [s.vitals.fds for s in samples], label="descriptors")
    panels[3].set_ylim(bottom=0)
    panels[3].legend(fontsize="small")
    panels[3].set_xlabel("minutes")
    figure.savefig(path)
    return path


def _write_csv(samples: list[Sample], path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seconds", "calls", "rss_mb", "threads", "fds", "quiet"])
        for sample in samples:
            vitals = sample.vitals
            quiet = int(sample.quiet)
            writer.writerow(
                [sample.elapsed_s, sample.calls, vitals.rss_mb, vitals.threads, vitals.fds, quiet]
            )
    return path
