"""Latencies, counted so that millions cost nothing and percentiles are right to 3 %."""

from __future__ import annotations

#: Each power of two of a microsecond has so many buckets.
_SHARES_BITS = 5
_SHARES = 1 << _SHARES_BITS


class Histogram:
    """Durations by microsecond, in buckets that grow with them."""

    def __init__(self, counts: dict[int, int] | None = None, longest_s: float = 0.0) -> None:
        self.counts = counts or {}
        self.longest_s = longest_s

    def add(self, seconds: float) -> None:
        """Count one duration."""
        micros = int(seconds * 1e6)
        shift = micros.bit_length() - _SHARES_BITS - 1
        bucket = micros if shift <= 0 else (shift << _SHARES_BITS) + (micros >> shift)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        if seconds > self.longest_s:
            self.longest_s = seconds

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts.values())

    def percentile_ms(self, percent: float) -> float:
        """The duration, in milliseconds, that so many percent do not exceed; 0 of none."""
        wanted, seen = self.total * percent / 100, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(_upper_micros(bucket) / 1e3, self.longest_s * 1e3)
        return 0.0

    def above(self, seconds: float) -> int:
        """How many were longer, right to a bucket."""
        return sum(
            count for bucket, count in self.counts.items() if _upper_micros(bucket) > seconds * 1e6
        )

    def since(self, earlier: Histogram) -> Histogram:
        """What was counted since this one was like ``earlier``. The longest is that of all."""
        counts = {b: n - earlier.counts.get(b, 0) for b, n in self.counts.items()}
        return Histogram({b: n for b, n in counts.items() if n}, self.longest_s)

    def to_json(self) -> list[object]:
        """For another process."""
        return [list(self.counts.items()), self.longest_s]

    @classmethod
    def from_json(cls, data: list) -> Histogram:
        """What ``to_json`` said."""
        return cls(dict(map(tuple, data[0])), data[1])


def _upper_micros(bucket: int) -> int:
    if bucket < 2 * _SHARES:
        return bucket + 1
    shift = (bucket >> _SHARES_BITS) - 1
    return (bucket - (shift << _SHARES_BITS) + 1) << shift
