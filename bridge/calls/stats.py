"""Counters and histograms of calls, written by one worker each and added up when asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: Bucket i counts durations below 2**i microseconds that bucket i-1 did not: enough for ever.
_BUCKETS = 64


class Histogram:
    """Durations in powers of two of a microsecond. One thread writes, any may read."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[int(seconds * 1e6).bit_length()] += 1
        self.total_s += seconds

    def merge(self, other: Histogram) -> None:
        """Add what ``other`` counted."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total_s += other.total_s

    def quantile_us(self, share: float) -> int:
        """An upper bound of the quantile, in microseconds: right to a factor of two."""
        rank, seen = share * sum(self.counts), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= rank:
                return 1 << bucket
        return 0

    def describe(self) -> dict[str, Any]:
        """``count``, ``total_s``, upper bounds of ``p50_us`` and ``p99_us``, and ``below_us``: how
        many were below so many microseconds and not below half of that."""
        return {
            "count": sum(self.counts),
            "total_s": self.total_s,
            "p50_us": self.quantile_us(0.50),
            "p99_us": self.quantile_us(0.99),
            "below_us": {1 << bucket: count for bucket, count in enumerate(self.counts) if count},
        }


class ToolStats:
    """What one worker counted for one tool: calls that ended there."""

    __slots__ = ("errors", "wait", "run")

    def __init__(self) -> None:
        self.errors = 0
        self.wait = Histogram()
        self.run = Histogram()

    @property
    def calls(self) -> int:
        """How many ended: each is in both histograms."""
        return sum(self.run.counts)

    def add(self, wait_s: float, run_s: float, failed: bool) -> None:
        """Count one call that waited and then ran so long."""
        if failed:
            self.errors += 1
        # Histogram.add twice, without the calls: this runs once for every call of a tool
        wait, run = self.wait, self.run
        wait.counts[int(wait_s * 1e6).bit_length()] += 1
        wait.total_s += wait_s
        run.counts[int(run_s * 1e6).bit_length()] += 1
        run.total_s += run_s

    def add_many(self, calls: int, errors: int, run_s: float) -> None:
        """Count calls that did not wait and ran so long each."""
        self.errors += errors
        self.wait.counts[0] += calls
        self.run.counts[int(run_s * 1e6).bit_length()] += calls
        self.run.total_s += calls * run_s

    def describe(self) -> dict[str, Any]:
        """``calls``, ``errors``, and the histograms of ``queue_wait`` and ``run_time``."""
        return {
            "calls": self.calls,
            "errors": self.errors,
            "queue_wait": self.wait.describe(),
            "run_time": self.run.describe(),
        }


def keep(stats: dict[Any, ToolStats], total: dict[Any, ToolStats]) -> None:
    """Add what a worker counted, by tool, to what others had counted that are no more."""
    for tool, counted in stats.items():
        total[tool] = add_up((total.get(tool, ToolStats()), counted))


def count(
    stats: dict[Any, ToolStats], tool: object, wait_s: float, run_s: float, failed: bool
) -> None:
    """Count one call of a tool in what a thread has counted by tool."""
    own = stats.get(tool)
    if own is None:
        own = stats[tool] = ToolStats()
    own.add(max(0.0, wait_s), run_s, failed)


def add_up(parts: Iterable[ToolStats]) -> ToolStats:
    """The sum over workers."""
    total = ToolStats()
    for part in parts:
        total.errors += part.errors
        total.wait.merge(part.wait)
        total.run.merge(part.run)
    return total
