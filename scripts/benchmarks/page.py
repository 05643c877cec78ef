"""The page ``docs/benchmarks/README.md``: the targets, the plots and every table."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from . import report
from .figures import Results
from .subjects import Subject

_INTRODUCTION = """\
# Benchmarks

Written by `scripts/bench`. Figures are medians over rounds, in each of which every subject did
every workload in turn (rounds: {rounds}); ratios are made within a round. The machine: {machine}. While nothing
was measured, other programs used at most {foreign}.

To repeat it, with everything else on the machine closed:

    scripts/bench --plots docs/benchmarks    # a quarter of an hour
    scripts/bench --quick                    # three minutes, rough
    scripts/bench --help

"""
_SUBJECTS = """\
## Who is measured

| | |
| --- | --- |
| bare loop | one thread of Python that decodes a request, calls a function and encodes the answer, without a check: the ceiling, as far as small messages go |
| bare threads | a thread for each call, without the bridge: what two tools at once can gain on this machine, whose cores may be halves of one |
| bridge | `python -m bridge` with 16 workers, as it comes |
| bridge --no-inline | the same, but each call goes to a worker, also of tools that take microseconds |
| Bridge.Client | the bridge through the library that applications use, with all that it does |
| ErlPort | its Python half, as PyPI has it or from a checkout: one call at a time |
| ErlPort, python:call | the same through its Erlang half, if a checkout is given |
| bare grpcio | a server of `protos/bridge.proto` made of grpcio, 16 threads and nothing else |
| bridge, gRPC | `python -m bridge --transport grpc` |

All but the last two are called by the same Elixir program over a raw port, which sends ready-made
requests and looks at nothing but the kind and the id of an answer; `Bridge.Client` and `python:call`
do the whole work. gRPC is called from Python with `grpc.aio`, which costs as much CPU as the server:
compare it with bare grpcio only.

One call at a time has two modes on a virtual machine: some 10 µs when the system happens to run
caller and program on the same CPU, 70 µs when each has to wake the other's CPU. The pinned figures
are the ones to compare.

The loads of applications are echoed by 64 callers at once; times are those of one call among them.
CPU is that of all threads of each side, for each call: that of Elixir contains what the raw driver
does, or all that `Bridge.Client` does. A token says when it was made, and its time ends when the
program that called has it in hand.
"""
_PLOT_WORDS = {
    "ratios": "Speed against the bare loop",
    "in-flight": "Throughput by calls in flight",
    "payload": "Throughput by size of the payload",
    "costs": "Cost of a call by calls in flight, by calls made before, and by tools",
    "workers": "Throughput of a sleeping tool by workers",
    "start-up": "Time to start, and by number of tools",
    "memory": "Memory by calls at once",
    "beside-a-hog": "Latency beside a tool that computes in Python",
}


def write(
    directory: Path, results: Results, subjects: Mapping[str, Subject], facts: Mapping[str, str]
) -> None:
    """Write the page and draw its plots, which replace those of the last run."""
    from . import plots

    directory.mkdir(parents=True, exist_ok=True)
    drawn = plots.write(directory, results, subjects)
    (directory / "README.md").write_text(page(results, subjects, facts, drawn))


def page(
    results: Results,
    subjects: Mapping[str, Subject],
    facts: Mapping[str, str],
    plots: list[str],
) -> str:
    """The text of the page."""
    hidden = ("rounds", "others used at most")
    machine = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in hidden)
    first, _, rest = _INTRODUCTION.partition("\n\n")
    words, _, commands = rest.partition("\n\n")
    words = words.format(
        rounds=facts["rounds"], machine=machine, foreign=facts["others used at most"]
    )
    parts = [f"{first}\n\n{textwrap.fill(words, 98, break_long_words=False)}\n\n{commands}"]
    verdicts = [v for v in report.verdicts(results, subjects) if v.met is not None]
    if verdicts:
        parts.append(f"## Targets\n\n{report.as_markdown(report.target_rows(verdicts))}\n\n")
    parts.append(_SUBJECTS)
    for line in report.missing_lines(subjects):
        parts.append(f"\nNot measured: {line}.\n")
    for plot in plots:
        words = _PLOT_WORDS[plot.removesuffix(".svg")]
        parts.append(f"\n![{words}]({plot})\n")
    parts.append("\n## Figures\n")
    for title, rows in report.sections(results, subjects):
        parts.append(f"\n### {title[0].upper()}{title[1:]}\n\n{report.as_markdown(rows)}\n")
    return "".join(parts)
