"""The command line of ``scripts/bench``."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from . import erlport, machine, report
from .drivers import DriverFailed, compile_elixir
from .figures import Results
from .runner import Run
from .subjects import ROOT, Interpreter, Subject, all_subjects
from .workloads import WORKLOADS, Workload

_DESCRIPTION = """\
Measure the bridge against what it is made of.

Each round runs every workload with every subject in turn (A B C, A B C, ...), and ratios are made
within a round: what disturbs the machine for a while disturbs all of them. Figures are medians over
the rounds, with the least and the greatest value.

The reference is a bare loop: one thread of Python that decodes a request, calls a function and
encodes the answer, with no checks at all: the ceiling, as far as small messages go. For gRPC it is
a server made of nothing but grpcio and 16 threads. The Elixir driver sends ready-made requests
and looks at the kind and the id of an answer, so that it costs little and the same for all;
"Bridge.Client" is the library that applications use, with all that it does; the "bare client" beside it
is one process between callers and port that promises nothing.
"""
_EPILOG = """\
examples:
  scripts/bench --quick                          two minutes, to see that all works
  scripts/bench                                  all of it, a quarter of an hour
  scripts/bench --plots docs/benchmarks          and the page docs/benchmarks
  scripts/bench --only window,binary --rounds 9  two workloads, more rounds
  scripts/bench --python /opt/py3.13t/bin/python and the same on that interpreter
  scripts/bench --list                           workloads, subjects and what is missing

Close other programs first: a run says how much of the machine they used. On a virtual machine
"echo, one call at a time" has two modes: 10 µs or so when the system happens to keep both programs
on one CPU, 70 µs when it has to wake another one. Look at the pinned figures for that.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 1 if a measurement failed, or with ``--strict``
    if a target was missed; 2 for wrong options; 130 if it was interrupted."""
    options = _parser().parse_args(argv)
    try:
        python = Interpreter.at(sys.executable, default=True)
        others = [Interpreter.at(path) for path in options.python]
        workloads = _chosen(options.only, {w.name: w for w in WORKLOADS}, "workload")
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if options.plots and find_spec("matplotlib") is None:
        print("bench: --plots needs matplotlib: pip install '.[dev]'", file=sys.stderr)
        return 2
    cache = Path(options.cache)
    cache.mkdir(parents=True, exist_ok=True)
    wants_erlport = options.subjects is None or "erlport" in options.subjects
    found = erlport.find(options.erlport, cache, download=wants_erlport and not options.list)
    everybody = all_subjects(python, others, found)
    try:
        subjects = {s.name: s for s in _chosen(options.subjects, everybody, "subject")}
        # what is compared with is always needed
        references = {s.reference for s in subjects.values()} & everybody.keys()
        subjects = {n: s for n, s in everybody.items() if n in subjects or n in references}
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    lacking = [w for w in workloads if w.needs is not None and find_spec(w.needs) is None]
    workloads = [w for w in workloads if w not in lacking]
    for workload in lacking:
        print(f"{workload.name}: not here: there is no {workload.needs}", file=sys.stderr)
    if options.list:
        _list(workloads, subjects)
        return 0
    try:
        compile_elixir(cache)
    except DriverFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    for line in report.missing_lines(subjects):
        print(line, file=sys.stderr)
    rounds = options.rounds or (1 if options.quick else 5)
    run = Run(
        workloads, subjects, rounds=rounds, quick=options.quick, full=options.full, cache=cache
    )
    minutes = run.estimate_s() / 60
    print(f"about {minutes:.0f} minutes; nothing else should run meanwhile", file=sys.stderr)
    interrupted = False
    try:
        run.go()
    except KeyboardInterrupt:
        interrupted = True
    facts = {
        **machine.describe(python, others),
        "date": datetime.date.today().isoformat(),
        "rounds": f"{rounds}, quick and rough" if options.quick else str(rounds),
        "others used at most": f"{run.foreign:.0%} of the machine",
    }
    missed = _print(run.results, subjects, facts)
    if options.json:
        _write_json(Path(options.json), run.results, facts, subjects)
    if options.plots and not interrupted:
        from . import page

        page.write(Path(options.plots), run.results, subjects, facts)
        print(f"\nwritten: {options.plots}/README.md and its plots")
    if interrupted:
        print("\nInterrupted: this is what was measured until then.")
        return 130
    failed = bool(run.results.errors())
    return 1 if failed or (options.strict and missed) else 0


def _print(results: Results, subjects: Mapping[str, Subject], facts: Mapping[str, str]) -> bool:
    """Print all tables. Returns whether a target was missed."""
    for title, rows in report.sections(results, subjects):
        print(f"\n{title}\n{report.as_text(rows)}")
    found = report.verdicts(results, subjects)
    measured = [verdict for verdict in found if verdict.met is not None]
    if measured:
        print(f"\nTargets\n{report.as_text(report.target_rows(measured))}")
    if results.errors():
        print("\nFailed")
        for failures in results.errors().values():
            # the first says most; the others are nearly always the same
            first, times = failures[0], f", {len(failures)} times" if len(failures) > 1 else ""
            print(f"  {first.workload}, {first.subject}{times}: {first.error}")
    print("\n" + "; ".join(f"{name} {value}" for name, value in facts.items()))
    return any(not verdict.met for verdict in measured)


def _write_json(
    path: Path, results: Results, facts: Mapping[str, str], subjects: Mapping[str, Subject]
) -> None:
    found = report.verdicts(results, subjects)
    data = {
        "machine": facts,
        "targets": [
            {
                "text": verdict.target.text,
                "bound": verdict.target.bound,
                "at_least": verdict.target.at_least,
                "figure": verdict.figure and asdict(verdict.figure),
                "met": verdict.met,
            }
            for verdict in found
        ],
        "measurements": [asdict(measurement) for measurement in results.measurements],
    }
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _list(workloads: Sequence[Workload], subjects: Mapping[str, Subject]) -> None:
    print("Workloads (--only):")
    for workload in workloads:
        print(f"  {workload.name:17} {workload.title}\n{'':20}{', '.join(workload.subjects)}")
    print("\nSubjects (--subjects):")
    for subject in subjects.values():
        print(f"  {subject.name:17} {subject.title}")
        if subject.missing:
            print(f"{'':20}not here: {subject.missing}")


def _chosen(names: str | None, known: Mapping[str, object], what: str) -> list:  # type: ignore[type-arg]
    """The values of a comma-separated list of names, in the order of ``known``; all without one."""
    if names is None:
        return list(known.values())
    wanted = {name.strip() for name in names.split(",")}
    if unknown := wanted - known.keys():
        raise ValueError(f"there is no {what} {', '.join(sorted(unknown))}; see --list")
    return [value for name, value in known.items() if name in wanted]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--rounds", metavar="N", type=_positive, help="(default: 5; with --quick 1)")
    add("--only", metavar="WORKLOAD,...", help="run only these")
    add(
        "--subjects",
        metavar="SUBJECT,...",
        help="measure only these, and what they are compared with",
    )
    add(
        "--python",
        metavar="PATH",
        action="append",
        default=[],
        help="a further interpreter for the bridge and the bare programs; repeatable",
    )
    add(
        "--erlport",
        metavar="PATH",
        type=Path,
        default=os.environ.get("ERLPORT") and Path(os.environ["ERLPORT"]),
        help="a checkout of ErlPort, whose Erlang half is then measured, too (default: $ERLPORT, "
        "otherwise the Python half from PyPI)",
    )
    add("--quick", action="store_true", help="fewer calls and one round: two minutes")
    add("--json", metavar="FILE", help="write every figure there")
    add("--plots", metavar="DIR", help="write a page with the tables and the plots there")
    add(
        "--full",
        action="store_true",
        help="ten million calls in a row, too: five minutes more a round",
    )
    add("--strict", action="store_true", help="exit with 1 if a target is missed")
    add("--list", action="store_true", help="show workloads and subjects, and measure nothing")
    add("--cache", metavar="DIR", default=str(ROOT / "build" / "bench"), help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value
