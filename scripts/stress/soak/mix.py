"""Calls drawn at random, each with all that may rightly come of it. The same seed, the same calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ..fuzz.hostile_tools import VALUES
from .tools import crunch, sign

#: The largest payload of an echo.
MAX_BYTES = 1 << 20
#: Half of the payloads are below this many bytes, a thousandth is a thousand times as long.
_TYPICAL_BYTES = 24
#: How long tools that turn slow are slow.
TURN_S = 0.03
#: One in so many calls of ``turns_often`` is slow.
_OFTEN = 1000
#: So many quick calls prove at most that a tool is quick; then ``turns_seldom`` may turn slow.
_PROVEN, _SELDOM = 4500, 2000
#: Cancel only when the answer is here: that must have no effect.
AFTER = -1.0

_OK = frozenset(["ok"])
#: Whatever needs a worker can find the queue full.
_POOL = frozenset(["ok", "resource_exhausted"])
_CANCELLED = _POOL | {"cancelled"}
_TIMED = _POOL | {"deadline_exceeded"}

_STEPS = {steps: crunch(steps) for steps in (50, 200, 1000, 5000)}
#: What travels all the same is no failure.
_HOSTILE = sorted(VALUES.keys() - {"huge integer", "talking", "talking between others"})
_BLOB = random.Random(1).randbytes(2 * MAX_BYTES)


class Shot:
    """One call. ``codes``: what may come of it, "ok" or codes of errors.

    ``signature`` must be in what is said of the call, errors included. ``expected``: the result.
    ``cancel_s``: cancel after so many seconds, or ``AFTER`` the answer. Of a stream:
    ``count`` items, ``credit_items`` and ``credit_bytes`` granted at first; it is cancelled after
    the item ``leave_at``, and gets no more credit if it is ``abandoned``.
    """

    __slots__ = (
        "kind", "method", "params", "signature", "expected", "codes", "timeout_ms", "session",
        "cancel_s", "streams", "count", "received", "credit_items", "credit_bytes", "leave_at",
        "abandoned", "sent",
    )  # fmt: skip

    def __init__(
        self,
        kind: str,
        method: str,
        params: list[Any],
        signature: str,
        expected: Any,
        codes: frozenset[str],
    ) -> None:
        self.kind = kind
        self.method = method
        self.params = params
        self.signature = signature
        self.expected = expected
        self.codes = codes
        self.timeout_ms: int | None = None
        self.session: str | None = None
        self.cancel_s: float | None = None
        self.streams = False
        self.sent = 0.0


class Mix:
    """Draws calls of one caller. ``pings``: has the transport a ping?"""

    def __init__(self, seed: str, caller: str, pings: bool) -> None:
        self.random = random.Random(f"{seed}/{caller}")
        self._caller = caller
        self._token = 0
        self._since_slow = 0
        kinds: list[tuple[int, Callable[[], Shot]]] = [
            (6000, self.echo),
            (500 if pings else 0, self.ping),
            (1000, self._turns_often),
            (1000, self.turns_seldom),
            (300, self._turns_busy),
            (200, self._crunches),
            (100, self._sleeps),
            (100, self.waits),
            (80, self._raises),
            (50, self._refuses),
            (50, self._unencodable),
            (30, self._hostile),
            (20, self._reports_from_a_thread),
            (50, self._unknown_tool),
            (50, self._bad_arguments),
            (100, self._alone),
            (60, self._naps),
            (60, self._asks),
            (40, self._talks),
            (60, self._stream),
            (20, self._stream_left),
            (10, self._stream_abandoned),
            (60, self._cancelled),
            (60, self._timeout_short),
            (48, self._timeout_long),
            (2, self._stats),
        ]
        #: Every kind as often as its weight says: a draw is one look-up.
        self._kinds = [draw for weight, draw in kinds for _ in range(weight)]
        self._number_of_kinds = len(self._kinds)

    def next(self) -> Shot:
        """Any call."""
        return self._kinds[int(self.random.random() * self._number_of_kinds)]()

    # -- quick ------------------------------------------------------------------------------

    def echo(self) -> Shot:
        size = int(_TYPICAL_BYTES / (1 - self.random.random())) - _TYPICAL_BYTES
        if size > MAX_BYTES:
            size = MAX_BYTES
        start = self._token % MAX_BYTES
        data = _BLOB[start : start + size]
        shot = self._shot("echo", "echo", data)
        shot.expected = [shot.signature, data]
        return shot

    def ping(self) -> Shot:
        self._token += 1
        signature = sign(self._caller, self._token)
        return Shot("ping", "$/ping", [signature], signature, signature, _OK)

    def _stats(self) -> Shot:
        return Shot("stats", "$/stats", [], "", None, _OK)

    def _turns_often(self) -> Shot:
        if self.random.random() * _OFTEN < 1:
            return self._shot("turned slow", "turns_often", TURN_S)
        return self._shot("turns slow", "turns_often")

    def turns_seldom(self) -> Shot:
        """Slow just when it has most likely been found quick."""
        self._since_slow += 1
        if self._since_slow > _PROVEN and self.random.random() * _SELDOM < 1:
            self._since_slow = 0
            return self._shot("turned slow", "turns_seldom", TURN_S)
        return self._shot("turns slow", "turns_seldom")

    def _turns_busy(self) -> Shot:
        if self.random.random() * _OFTEN < 1:
            return self._shot("turned busy", "turns_busy", TURN_S)
        return self._shot("turns slow", "turns_busy")

    # -- on workers -------------------------------------------------------------------------

    def _crunches(self) -> Shot:
        steps = self.random.choice(list(_STEPS))
        shot = self._shot("crunch", "crunches", steps)
        shot.expected = [shot.signature, _STEPS[steps]]
        return shot

    def _sleeps(self) -> Shot:
        return self._shot("sleep", "sleeps", self._seconds())

    def waits(self) -> Shot:
        return self._shot("wait", "waits", self._seconds())

    def _naps(self) -> Shot:
        return self._shot("async", "naps", self._seconds())

    def _alone(self) -> Shot:
        shot = self._shot("serial", "alone")
        shot.expected = [shot.signature, 1]
        return shot

    def _asks(self) -> Shot:
        shot = self._shot("session", "asks")
        shot.session = f"session of {shot.signature}"
        shot.expected = [shot.signature, shot.session]
        return shot

    def _talks(self) -> Shot:
        shot = self._shot("progress and log", "talks", self.random.randrange(1, 5))
        shot.streams = True  # over gRPC only streams carry them
        return self._with_stream(shot, 0)

    def _reports_from_a_thread(self) -> Shot:
        shot = self._shot("progress of a thread", "reports_from_a_thread")
        shot.streams = True
        return self._with_stream(shot, 0)

    # -- that go wrong ----------------------------------------------------------------------

    def _raises(self) -> Shot:
        return self._shot("tool raises", "raises", codes="internal")

    def _refuses(self) -> Shot:
        return self._shot("tool refuses", "refuses", codes="failed_precondition")

    def _unencodable(self) -> Shot:
        shot = self._shot("unencodable", "returns_unencodable", codes="internal")
        shot.signature = "result[1]"
        return shot

    def _hostile(self) -> Shot:
        shot = self._shot(
            "hostile", "returns_hostile", self.random.choice(_HOSTILE), codes="internal"
        )
        shot.signature = ""  # what can be said of it depends on what it is
        return shot

    def _unknown_tool(self) -> Shot:
        name = f"no_tool_{self._token % 100}"
        shot = self._shot("unknown tool", name, codes="not_found")
        shot.signature = f"'{name}'"
        return shot

    def _bad_arguments(self) -> Shot:
        shot = self._shot("bad arguments", "echo", codes="invalid_argument")
        shot.signature = "data"
        return shot

    # -- streams ----------------------------------------------------------------------------

    def _stream(self) -> Shot:
        return self._with_stream(self._counts("stream"), self._count())

    def _stream_left(self) -> Shot:
        count = self._count() + 1
        shot = self._with_stream(self._counts("stream, cancelled"), count)
        shot.leave_at = self.random.randrange(count)
        shot.codes = _CANCELLED
        return shot

    def _stream_abandoned(self) -> Shot:
        shot = self._with_stream(self._counts("stream, abandoned"), self._count() + 1)
        shot.abandoned = True
        shot.timeout_ms = self.random.randrange(1, 60)
        shot.codes = _TIMED
        return shot

    def _counts(self, kind: str) -> Shot:
        if self.random.random() < 0.8:
            return self._shot(kind, "counts", 0)
        shot = self._shot(kind, "counts_async", 0)
        shot.expected = None  # an async generator returns nothing
        return shot

    def _with_stream(self, shot: Shot, count: int) -> Shot:
        shot.streams = True
        if shot.kind.startswith("stream"):
            shot.params[2] = count
        shot.count = count
        shot.received = 0
        shot.leave_at = -1
        shot.abandoned = False
        shot.credit_items = self.random.randrange(0, 9)
        shot.credit_bytes = self.random.randrange(0, 1000)
        return shot

    def _count(self) -> int:
        """Mostly some, seldom many."""
        return min(300, int(4 / (1 - self.random.random())) - 4)

    # -- that are interrupted ---------------------------------------------------------------

    def _cancelled(self) -> Shot:
        tool = self.random.choice(["sleeps", "waits", "naps", "alone", "turns_often"])
        arguments = [] if tool in ("alone", "turns_often") else [self._seconds()]
        shot = self._shot("cancelled", tool, *arguments)
        if tool == "alone":
            shot.expected = [shot.signature, 1]
        shot.cancel_s = self.random.choice([0.0, 0.0, AFTER, 0.005 * self.random.random()])
        shot.codes = _POOL if shot.cancel_s == AFTER else _CANCELLED
        return shot

    def _timeout_short(self) -> Shot:
        shot = self._shot("timeout, short", self.random.choice(["sleeps", "waits", "naps"]), 0.02)
        shot.timeout_ms = self.random.randrange(0, 12)
        shot.codes = _TIMED
        return shot

    def _timeout_long(self) -> Shot:
        shot = self._shot("timeout, long", "sleeps", self._seconds() / 4)
        shot.timeout_ms = self.random.randrange(20_000, 2_000_000)
        return shot

    # -- parts ------------------------------------------------------------------------------

    def _shot(self, kind: str, method: str, *arguments: Any, codes: str | None = None) -> Shot:
        self._token = token = self._token + 1
        signature = sign(self._caller, token)
        return Shot(
            kind,
            method,
            [self._caller, token, *arguments],
            signature,
            [signature],
            _POOL if codes is None else frozenset([codes, "resource_exhausted"]),
        )

    def _seconds(self) -> float:
        return min(0.05, self.random.expovariate(250))
