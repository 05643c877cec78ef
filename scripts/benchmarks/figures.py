"""Medians and ratios over rounds. Pure functions of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds: its median, least and greatest value, and how many there were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """The spread of some values; None if there are none."""
        values = list(values)
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))


def paired_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """The ratio of two figures by round, where both were measured in the same round.

    What disturbs a machine for minutes disturbs both, and cancels out. None without such a round.
    """
    rounds = sorted(ours.keys() & theirs.keys())
    return Spread.of(ours[n] / theirs[n] for n in rounds if theirs[n])


@dataclass(frozen=True)
class Measurement:
    """One subject doing one workload in one round: its figures, or what went wrong."""

    workload: str
    subject: str
    round: int
    figures: Mapping[str, Any]
    error: str | None = None
    seconds: float = 0.0


class Results:
    """All measurements of a run."""

    def __init__(self, measurements: Iterable[Measurement] = ()) -> None:
        self.measurements: list[Measurement] = list(measurements)

    def add(self, measurement: Measurement) -> None:
        """One more."""
        self.measurements.append(measurement)

    def by_round(self, workload: str, subject: str, metric: str) -> dict[int, float]:
        """A figure of a subject in each round in which it was measured."""
        return {
            m.round: float(m.figures[metric])
            for m in self._of(workload, subject)
            if metric in m.figures
        }

    def spread(self, workload: str, subject: str, metric: str) -> Spread | None:
        """A figure of a subject over all rounds; None if it was not measured."""
        return Spread.of(self.by_round(workload, subject, metric).values())

    def ratio(self, workload: str, subject: str, reference: str, metric: str) -> Spread | None:
        """A subject's figure over that of another, round by round."""
        return paired_ratio(
            self.by_round(workload, subject, metric), self.by_round(workload, reference, metric)
        )

    def points(
        self, workload: str, subject: str, key: str = "points"
    ) -> list[tuple[float, Spread]]:
        """A curve: for each x the spread of y, where the figures hold ``[[x, y, ...], ...]``."""
        columns: dict[float, list[float]] = {}
        for measurement in self._of(workload, subject):
            for x, y, *_ in measurement.figures.get(key, ()):
                columns.setdefault(x, []).append(y)
        return [(x, spread) for x in sorted(columns) if (spread := Spread.of(columns[x]))]

    def subjects(self, workload: str) -> list[str]:
        """Those that were measured, in the order of the run."""
        found = (m.subject for m in self.measurements if m.workload == workload and not m.error)
        return list(dict.fromkeys(found))

    def errors(self) -> dict[tuple[str, str], list[Measurement]]:
        """What went wrong, by workload and subject."""
        found: dict[tuple[str, str], list[Measurement]] = {}
        for measurement in self.measurements:
            if measurement.error:
                found.setdefault((measurement.workload, measurement.subject), []).append(
                    measurement
                )
        return found

    def _of(self, workload: str, subject: str) -> Sequence[Measurement]:
        return [
            m
            for m in self.measurements
            if m.workload == workload and m.subject == subject and not m.error
        ]
