"""Does all workloads with all subjects, round by round, and says how far it is."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import processes
from .drivers import DriverFailed, Drivers
from .figures import Measurement, Results
from .subjects import Subject
from .workloads import Workload

#: A single-threaded subject is not asked to sleep more often than this.
_SINGLE_SLEEPS = 1
#: In so many rounds curves are measured: they take as long as all else, and show no ratio.
_CURVE_ROUNDS = 2


class Progress:
    """One line on a terminal that is overwritten, a line for each workload otherwise."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = ""

    def show(self, round: int, rounds: int, title: str, subject: str, left_s: float) -> None:
        """What is measured now, and how long it will take."""
        left = f"{int(left_s) // 60}:{int(left_s) % 60:02} left"
        line = f"round {round}/{rounds}  {left}  {title}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{f'{line}: {subject}'[:width]}", end="", file=sys.stderr, flush=True)
        elif (mark := f"{round} {title}") != self._last:
            self._last = mark
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Run:
    """What is to be measured, how often, and what came of it. ``results`` grow while it runs."""

    def __init__(
        self,
        workloads: list[Workload],
        subjects: Mapping[str, Subject],
        *,
        rounds: int,
        quick: bool = False,
        full: bool = False,
        cache: Path,
    ) -> None:
        self.results = Results()
        #: The greatest share of the machine that others used, sampled before each round.
        self.foreign = 0.0
        self.rounds = rounds
        self._quick, self._full = quick, full
        self._cache = cache
        self._pairs = [(w, s) for w in workloads for s in _who(w, subjects)]
        self._known_s: dict[tuple[str, str], float] = {}

    def estimate_s(self) -> float:
        """How long the whole run may take."""
        return self._rest_s(0, 0)

    def go(self) -> None:
        """Measure everything. ``KeyboardInterrupt`` ends it early, the results so far are there."""
        progress = Progress()
        with Drivers(self._cache) as drivers:
            try:
                for number in range(1, self.rounds + 1):
                    self.foreign = max(self.foreign, _busy_share())
                    for index, (workload, subject) in enumerate(self._pairs):
                        if workload.growth and number > _CURVE_ROUNDS:
                            continue
                        left_s = self._rest_s(number, index)
                        progress.show(number, self.rounds, workload.title, subject.title, left_s)
                        self.results.add(self._measure(drivers, workload, subject, number))
            finally:
                progress.end()

    def _rest_s(self, number: int, index: int) -> float:
        """How long it takes from this place of a round on; round 0 is before the first."""
        factor = 0.4 if self._quick else 1.0
        seconds = 0.0
        for place, (w, s) in enumerate(self._pairs):
            rounds = min(self.rounds, _CURVE_ROUNDS) if w.growth else self.rounds
            left = max(0, rounds - number) + (0 < number <= rounds and place >= index)
            seconds += left * self._known_s.get((w.name, s.name), w.cost_s * factor)
        return seconds

    def _measure(
        self, drivers: Drivers, workload: Workload, subject: Subject, number: int
    ) -> Measurement:
        started = time.monotonic()
        figures: dict[str, Any] = {}
        error = None
        try:
            instead = workload.quick if self._quick else workload.full if self._full else {}
            figures = _figures(drivers, workload, subject, instead, self._quick)
        except (DriverFailed, OSError) as failure:
            error = f"{failure}"
        seconds = time.monotonic() - started
        self._known_s[workload.name, subject.name] = seconds
        return Measurement(workload.name, subject.name, number, figures, error, round(seconds, 3))


def _who(workload: Workload, subjects: Mapping[str, Subject]) -> Iterator[Subject]:
    """The subjects of a workload, in its order; those on other interpreters after their kind."""
    for kind in workload.subjects:
        for subject in subjects.values():
            if subject.kind == kind and subject.missing is None:
                yield subject


def _figures(
    drivers: Drivers,
    workload: Workload,
    subject: Subject,
    instead: Mapping[str, Any],
    quick: bool,
) -> dict[str, Any]:
    options = {**workload.options, **instead}
    if workload.sweep is None:
        return _once(drivers, workload, subject, options)
    name, values = workload.sweep
    if quick:
        values = workload.quick_sweep
    if name == "workers" and subject.single:
        values = values[:1]  # it has but one
    steps = []
    for value in values:
        changed = workload
        if name == "workers":
            changed = dataclasses.replace(workload, workers=value)
            options["count"] = max(8, 4 * value)
        else:
            options[name] = value
        steps.append((value, _once(drivers, changed, subject, options)))
    return {
        **steps[-1][1],
        "points": [[value, figures[workload.metric]] for value, figures in steps],
        "steps": [{name: value, **figures} for value, figures in steps],
    }


def _once(
    drivers: Drivers, workload: Workload, subject: Subject, options: dict[str, Any]
) -> dict[str, Any]:
    if workload.local:
        return processes.JOBS[workload.job](subject, options)
    if subject.single and "times" in options:
        options = {**options, "times": _SINGLE_SLEEPS}
    driver = drivers.get(subject, pinned=workload.pinned)
    adapter = options.get("adapter", "bench_tools:Tools")
    command = subject.command(workers=workload.workers, adapter=adapter)
    if subject.script is None:
        command += workload.arguments
    env = {"BENCH_TOOLS": str(options["tools"])} if "tools" in options else None
    return driver.run(workload.job, options, subject, command, env)


def _busy_share(seconds: float = 0.3) -> float:
    """Which share of all CPUs is in use while we do nothing; 0 where that cannot be known."""

    def idle_and_all() -> tuple[int, int]:
        fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return fields[3] + fields[4], sum(fields)

    try:
        idle, total = idle_and_all()
        time.sleep(seconds)
        idle2, total2 = idle_and_all()
    except (OSError, ValueError):
        return 0.0
    return max(0.0, 1 - (idle2 - idle) / max(total2 - total, 1))
