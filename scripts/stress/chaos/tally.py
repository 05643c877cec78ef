"""What was done, what came of it, and how to say so."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Row:
    """One kind of fault."""

    times: int = 0
    worst_s: float = 0.0
    problems: int = 0


@dataclass
class Tally:
    """Counts over a whole run. Not for several threads at once."""

    rows: dict[str, Row] = field(default_factory=dict)
    calls: int = 0
    answers: int = 0
    orphans: int = 0
    unanswered: int = 0
    problems: list[str] = field(default_factory=list)

    def note(self, fault: str, seconds: float, problem: str = "") -> None:
        """A fault was survived in so many seconds, or there was a ``problem``."""
        row = self.rows.setdefault(fault, Row())
        row.times += 1
        row.worst_s = max(row.worst_s, seconds)
        if problem:
            row.problems += 1
            self.problems.append(f"{fault}: {problem}")

    def times(self, fault: str) -> int:
        """How often that was done."""
        return self.rows[fault].times if fault in self.rows else 0

    @property
    def worst_s(self) -> float:
        """The longest that anything took."""
        return max((row.worst_s for row in self.rows.values()), default=0.0)

    def line(self) -> str:
        """One line of progress."""
        kills = f"{self.times('kill-beam')} BEAM + {self.times('kill-bridge')} bridge"
        faults = sum(row.times for row in self.rows.values())
        return (
            f"faults {faults} (kills: {kills})  calls {self.calls:,}  answered {self.answers:,}  "
            f"unanswered {self.unanswered}  orphans {self.orphans}  worst {self.worst_s:.2f} s"
        )

    def table(self) -> str:
        """The summary."""
        lines = [f"{'fault':<30} {'times':>6} {'worst':>9} {'problems':>9}"]
        for name, row in sorted(self.rows.items()):
            lines.append(f"{name:<30} {row.times:>6} {row.worst_s:>7.2f} s {row.problems:>9}")
        return "\n".join(lines)
