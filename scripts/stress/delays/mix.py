"""One caller: draws calls, makes them, and holds what comes against what may rightly come."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from bridge.errors import CallError, TransportClosed
from bridge.testing import PortPeer

#: Later than that beyond its own time is no answer in time, on a busy machine and with delays.
LATE_S = 10.0
#: How long a call holds its thread that is cancelled at once, and when its answer comes too late.
_HELD_S, _HELD_LATE_S = 3.0, 2.0
#: What any call may find.
_BUSY = frozenset(["resource_exhausted"])
_ENDED = frozenset(["cancelled", "deadline_exceeded"])
_BURST = 40
#: What calls in flight become when the process ends, or over gRPC the client; what stdio promises.
_LEFT, _LEFT_STDIO = frozenset(["unavailable", "cancelled"]), frozenset(["unavailable"])


class Record:
    """What all callers of a round have seen; each caller adds, which is atomic."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        #: Tokens whose call has returned its result.
        self.done: list[int] = []
        self.outcomes: Counter[str] = Counter()
        #: The process is being ended: ``unavailable`` and a lost connection are no faults any more.
        self.ending = False
        #: Requests that were sent before it was told to end.
        self.sent: list[int] = []


class Caller:
    """One thread that calls.

    Args:
        peer: the process.
        seed: of what it draws.
        tokens: gives a number that no other call has.
        record: what it has seen.
        stdio: whether tools can call back.
        held: whether a worker may be held for seconds, as others are left.
    """

    def __init__(
        self,
        peer: PortPeer,
        seed: str,
        tokens: Iterator[int],
        record: Record,
        *,
        stdio: bool,
        held: bool,
    ) -> None:
        self._peer = peer
        self._random = random.Random(seed)
        self._tokens = tokens
        self._record = record
        self._last = ""
        self._stdio = stdio
        kinds: list[tuple[int, Callable[[], None]]] = [
            (8, self._burst),
            (8, self._one),
            (4, self._timed_out),
            (4, self._cancelled),
            (3, self._interrupted),
            (3, self._almost_interrupted),
            (6, self._stream),
            (2, self._stream_left),
            (3, self._stream_cancelled),
            (1, self._unknown),
            (1 if held else 0, self._held),
            (4 if stdio else 0, self._asks_back),
        ]
        self._kinds = [kind for weight, kind in kinds for _ in range(weight)]

    def run(self, end: float) -> None:
        """Call until an instant, or the connection is gone."""
        while time.monotonic() < end:
            try:
                self._random.choice(self._kinds)()
            except TransportClosed:
                if not self._record.ending:
                    self._record.faults.append("the connection was lost")
                return

    # -- kinds of calls -----------------------------------------------------------------------

    def _burst(self) -> None:
        """Many at once, most of them quick, of which some are cancelled on their way."""
        sent = []
        for _ in range(self._random.randrange(2, _BURST)):
            token = next(self._tokens)
            if self._random.random() < 0.9:
                msgid = self._send("quick", [token])
            else:
                slow = self._random.random() < 0.2
                msgid = self._send("sometimes_slow", [token, 0.004 if slow else 0.0])
            sent.append((token, msgid))
        given_up = {msgid for _, msgid in sent if self._random.random() < 0.03}
        for msgid in given_up:
            self._peer.cancel(msgid)
        for token, msgid in sent:
            self._expect(token, msgid, token, _BUSY | (_ENDED if msgid in given_up else set()))

    def _one(self) -> None:
        token = next(self._tokens)
        seconds = self._random.choice([0.0, 0.001, 0.01])
        steps = self._random.choice([10, 1000, 20000])
        method, params, expected = self._random.choice(
            [
                ("quick", [token], token),
                ("sleeps", [token, seconds], token),
                ("computes", [token, steps], [token, steps * (steps - 1) // 2]),
                ("alone", [token], [token, 1]),
                ("naps", [token, seconds], token),
                ("counts_on", [token], token),
                ("$/ping", [token], token),
            ]
        )
        if method == "$/ping":
            if self._peer.call(method, params) != token:
                self._fault(f"ping {token}")
            return
        self._expect(token, self._send(method, params), expected, _BUSY)

    def _timed_out(self) -> None:
        token = next(self._tokens)
        method = self._random.choice(["sleeps", "naps", "waits", "sometimes_slow"])
        limit_ms = self._random.choice([1, 3, 10])
        msgid = self._send(method, [token, 0.01], timeout_ms=limit_ms)
        self._expect(token, msgid, token, _BUSY | {"deadline_exceeded"})

    def _cancelled(self) -> None:
        token = next(self._tokens)
        method, params, expected = self._random.choice(
            [
                ("quick", [token], token),
                ("sleeps", [token, 0.005], token),
                ("naps", [token, 0.005], token),
                ("waits", [token, 0.05], token),
                ("alone", [token], [token, 1]),
                ("counts_on", [token], token),
            ]
        )
        msgid = self._send(method, params)
        self._linger()
        self._peer.cancel(msgid)
        self._expect(token, msgid, expected, _BUSY | {"cancelled"})

    def _interrupted(self) -> None:
        token = next(self._tokens)
        if self._random.random() < 0.5:
            msgid = self._send("loops", [token], timeout_ms=self._random.choice([1, 5, 20]))
        else:
            msgid = self._send("loops", [token])
            self._linger()
            self._peer.cancel(msgid)
        self._expect(token, msgid, None, _BUSY | _ENDED)

    def _almost_interrupted(self) -> None:
        """Its time is up about when it is done."""
        token = next(self._tokens)
        msgid = self._send("counts_on", [token], timeout_ms=self._random.choice([0.5, 1, 2, 4]))
        self._expect(token, msgid, token, _BUSY | {"deadline_exceeded"})

    def _stream(self) -> None:
        token, count = next(self._tokens), self._random.choice([0, 1, 3, 30])
        method = self._random.choice(["items", "items_later"])
        stream = self._peer.stream(method, [token, count], items=self._random.choice([1, 2, 16]))
        received = []
        try:
            received.extend(stream)
        except CallError as error:
            self._note_error(token, error, _BUSY)
            return
        if received != [[token, number] for number in range(count)]:
            self._fault(f"{method} {token}: {received}")
        self._note_done(token)

    def _stream_left(self) -> None:
        token = next(self._tokens)
        method = self._random.choice(["items", "items_later"])
        stream = self._peer.stream(method, [token, 1000], items=2)
        try:
            first = next(stream)
        except CallError as error:
            self._note_error(token, error, _BUSY)
            return
        if first != [token, 0]:
            self._fault(f"{method} {token} began with {first}")
        stream.close()
        self._note("left")

    def _stream_cancelled(self) -> None:
        """Gets no more credit, and ends by its deadline or by a cancel."""
        token = next(self._tokens)
        method = self._random.choice(["items", "items_later"])
        how = {"stream": {"items": self._random.randrange(4), "bytes": 1 << 20}}
        # the client over gRPC that reads no further does not hear of the deadline either
        if self._stdio and self._random.random() < 0.5:
            msgid = self._send(method, [token, 1000], timeout_ms=10, **how)
        else:
            msgid = self._send(method, [token, 1000], **how)
            self._linger()
            self._peer.cancel(msgid)
        self._expect(token, msgid, None, _BUSY | _ENDED)
        received = self._peer.items.get(msgid, [])
        if received != [[token, number] for number in range(len(received))]:
            self._fault(f"{method} {token}: {received}")

    def _held(self) -> None:
        """A tool that was quick, and lasts: the answer does not wait for it."""
        token = next(self._tokens)
        began = time.monotonic()
        if self._random.random() < 0.5:
            msgid = self._send("sometimes_slow", [token, _HELD_S], timeout_ms=10)
        else:
            msgid = self._send("sometimes_slow", [token, _HELD_S])
            self._linger()
            self._peer.cancel(msgid)
        self._expect(token, msgid, None, _BUSY | _ENDED)
        if time.monotonic() - began > _HELD_LATE_S:
            self._fault(f"{token}, which nobody awaits, was answered as its tool ended")

    def _unknown(self) -> None:
        msgid = self._send("nothing", [])
        # over gRPC it is a worker that finds out
        self._expect(-1, msgid, None, {"not_found"} if self._stdio else _BUSY | {"not_found"})

    def _asks_back(self) -> None:
        token = next(self._tokens)
        method = self._random.choice(["asks_back", "asks_back_later"])
        function = self._random.choice(["same", "through_a_tool"])
        if self._random.random() < 0.7:
            msgid = self._send(method, [token, function])
            self._expect(token, msgid, token, _BUSY)
        else:
            msgid = self._send(method, [token, function], timeout_ms=self._random.choice([1, 5]))
            self._expect(token, msgid, token, _BUSY | _ENDED)

    # -- parts --------------------------------------------------------------------------------

    def _send(self, method: str, params: list[Any], **options: Any) -> int:
        msgid = self._peer.request(method, params, **options)
        self._last = f"{method}{params} {options}"
        if not self._record.ending:
            self._record.sent.append(msgid)
        return msgid

    def _linger(self) -> None:
        if self._random.random() < 0.7:
            time.sleep(self._random.random() * 0.006)

    def _expect(
        self, token: int, msgid: int, expected: Any, codes: frozenset[str] | set[str]
    ) -> None:
        """Wait for the outcome of a call: the result, or an error with one of these codes."""
        try:
            result = self._peer.result(msgid, LATE_S)
        except CallError as error:
            self._note_error(token, error, codes)
        except TimeoutError:
            what = f"{token} (request {msgid}, {self._last})"
            self._fault(f"{what} is not answered after {LATE_S} s")
            raise TransportClosed("given up") from None
        else:
            if result != expected:
                self._fault(f"{token}: {result!r} instead of {expected!r}")
            self._note_done(token)

    def _note_error(self, token: int, error: CallError, codes: frozenset[str] | set[str]) -> None:
        self._note(error.code)
        left = _LEFT_STDIO if self._stdio else _LEFT
        if error.code not in codes and not (self._record.ending and error.code in left):
            self._fault(f"{token}: {error.code}: {error.message} {error.traceback or ''}")

    def _note_done(self, token: int) -> None:
        self._note("ok")
        self._record.done.append(token)

    def _note(self, outcome: str) -> None:
        self._record.outcomes[outcome] += 1

    def _fault(self, text: str) -> None:
        self._record.faults.append(text)
