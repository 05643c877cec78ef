"""What is in flight, and whether each answer is the right one: no I/O, no clock, no lock."""

from __future__ import annotations

from typing import Any

from .histogram import Histogram
from .mix import Shot
from .phases import PROBES

#: So many of what was found are told in words.
_TOLD = 20
#: Clocks and timers are this exact.
_SLACK_S, _SLACK_SHARE = 0.002, 0.012


class Ledger:
    """The account of one transport, or of one part of it. One thread at a time.

    ``lost``: never answered. ``duplicated``: an answer, or an item, to a call that has its answer.
    ``wrong``: an answer that belongs to another call. ``unexpected``: an outcome that its call
    must not have. ``stuck``: times when nothing more came though calls were in flight.
    """

    def __init__(self) -> None:
        self.in_flight: dict[int, Shot] = {}
        #: By kind and outcome: "ok" or the code of the error.
        self.counts: dict[tuple[str, str], int] = {}
        self.items = 0
        self.notes = 0
        self.lost = 0
        self.duplicated = 0
        self.wrong = 0
        self.unexpected = 0
        self.stuck = 0
        self.findings: list[str] = []
        self.echo = Histogram()
        #: Pings beside tools that turn slow, by phase.
        self.pings = {phase: Histogram() for phase in PROBES}
        #: The same, less the time for which threads had no CPU.
        self.own = {phase: Histogram() for phase in PROBES}
        #: How long it takes until all is answered, once nothing more is sent.
        self.drains = Histogram()

    def answer(
        self, number: int, error: dict[str, Any] | None, result: Any, now: float
    ) -> Shot | None:
        """The answer to a call is here. Returns the call; None if there is none that waits."""
        shot = self.in_flight.pop(number, None)
        if shot is None:
            self.duplicated += 1
            self._tell(f"a second answer to call {number}: {error or result!r:.200}")
            return None
        if error is None:
            code = "ok"
            if result != shot.expected:
                self._check_result(shot, result)
            elif shot.streams and shot.received != shot.count:
                self._wrong(shot, f"{shot.received} items instead of {shot.count}")
            elif shot.kind == "echo":
                self.echo.add(now - shot.sent)
        else:
            code = error["code"]
            if code in shot.codes:
                self._check_error(shot, code, error, now)
        key = (shot.kind, code)
        self.counts[key] = self.counts.get(key, 0) + 1
        if code not in shot.codes:
            self.unexpected += 1
            self._tell(f"{_name(shot)} must not end with {code}: {error or result!r:.300}")
        return shot

    def item(self, number: int, item: Any) -> Shot | None:
        """An item of a stream is here. Returns the call; None if there is none that waits."""
        shot = self.in_flight.get(number)
        if shot is None or not shot.streams:
            self.duplicated += 1
            self._tell(f"an item after the end of call {number}: {item!r:.200}")
            return None
        if item != [shot.signature, shot.received]:
            self._wrong(shot, f"item {shot.received} is {item!r:.200}")
        shot.received += 1
        self.items += 1
        return shot

    def note(self, number: int, text: str | None) -> None:
        """A log line. One that comes after the answer is in order."""
        self._note(self.in_flight.get(number), text)

    def progress(self, number: int, text: str | None) -> None:
        """Progress. After the answer there may be none."""
        shot = self.in_flight.get(number)
        if shot is None:
            self.duplicated += 1
            self._tell(f"progress after the end of call {number}: {text!r:.200}")
        self._note(shot, text)

    def _note(self, shot: Shot | None, text: str | None) -> None:
        if shot is not None and text != shot.signature:
            self._wrong(shot, f"progress or log of {text!r}")
        self.notes += 1

    def ping(self, phase: str, seconds: float, waited_s: float) -> None:
        """A ping of a probe was answered. ``waited_s``: of it, threads waited for a CPU."""
        key = ("ping", "ok")
        self.counts[key] = self.counts.get(key, 0) + 1
        self.pings[phase].add(seconds)
        self.own[phase].add(max(0.0, seconds - waited_s))

    def is_stuck(self, seconds: float) -> None:
        """Nothing has come for so long though something is in flight."""
        self.stuck += 1
        waiting = ", ".join(map(_name, list(self.in_flight.values())[:5]))
        self._tell(f"{len(self.in_flight)} calls without an answer for {seconds:.1f} s: {waiting}")

    def close(self) -> None:
        """Nothing more will come: what is in flight is lost."""
        for shot in self.in_flight.values():
            self.lost += 1
            self._tell(f"{_name(shot)} was never answered")
        self.in_flight.clear()

    def fault(self, text: str) -> None:
        """Something that no call explains."""
        self.unexpected += 1
        self._tell(text)

    def to_json(self) -> dict[str, Any]:
        """All of it but what is in flight, for another process."""
        return {
            "calls": sum(self.counts.values()),
            "in_flight": len(self.in_flight),
            "counts": [[kind, code, count] for (kind, code), count in self.counts.items()],
            "items": self.items,
            "notes": self.notes,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "wrong": self.wrong,
            "unexpected": self.unexpected,
            "stuck": self.stuck,
            "findings": self.findings,
            "echo": self.echo.to_json(),
            "pings": {phase: pings.to_json() for phase, pings in self.pings.items()},
            "own": {phase: own.to_json() for phase, own in self.own.items()},
            "drains": self.drains.to_json(),
        }

    # -- parts ------------------------------------------------------------------------------

    def _check_result(self, shot: Shot, result: Any) -> None:
        if shot.kind == "stats":
            if not isinstance(result, dict) or "in_flight" not in result:
                self._wrong(shot, f"the statistics are {result!r:.200}")
            return
        self._wrong(shot, f"the result is {result!r:.200} instead of {shot.expected!r:.200}")

    def _check_error(self, shot: Shot, code: str, error: dict[str, Any], now: float) -> None:
        if code == "deadline_exceeded" and shot.timeout_ms is not None:
            timeout_s = shot.timeout_ms / 1000
            if now - shot.sent < timeout_s * (1 - _SLACK_SHARE) - _SLACK_S:
                self._wrong(shot, f"out of time after {now - shot.sent} s, not {timeout_s} s")
        elif code == "resource_exhausted":
            if error.get("started"):
                self._wrong(shot, "refused, and had begun all the same")
        elif code != "cancelled" and shot.signature not in error["message"]:
            self._wrong(shot, f"the error is {error!r:.300}")

    def _wrong(self, shot: Shot, text: str) -> None:
        self.wrong += 1
        self._tell(f"{_name(shot)}: {text}")

    def _tell(self, text: str) -> None:
        if len(self.findings) < _TOLD:
            self.findings.append(text)


def _name(shot: Shot) -> str:
    return f"{shot.kind} ({shot.method}{shot.params!r:.80})"
