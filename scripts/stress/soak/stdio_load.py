"""The client over the pipes: one thread that writes, reads and checks, as fast as Python can."""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import signal
import sys
import time
from functools import partial
from typing import Any

import msgpack

from .ledger import Ledger
from .mix import AFTER, Mix, Shot
from .phases import ALONE, LOAD, PROBES, Phases
from .vitals import CpuWait

_READ_BYTES = 1 << 20
#: How many calls are in flight: drawn for each burst.
_FULL = 256
_WINDOWS = (1, 8, 32, 64, 128, _FULL, _FULL)
#: A burst lasts until the window was filled so many times, at most.
_ROUNDS = 16
#: One burst in so many is of calls that wait only, and fills the queue.
_FLOODS = 300
#: Without any answer for so long, nothing more will come.
STUCK_S = 5.0
#: So long may the last answers take.
_LAST_S = 20.0
_REPORT_S = 0.5
#: A probe has so many calls in flight beside its ping, and pings so often at most.
_BESIDE, _PING_S = 4, 0.0005
#: So long may a look at the clock take, and a cancel that is due.
_LOOK_S, _CANCEL_S = 0.01, 0.001

_unpack = partial(msgpack.unpackb, strict_map_key=False)


def say(message: dict[str, Any]) -> None:
    """Tell the process that runs the soak."""
    print(json.dumps(message), flush=True)


class StdioLoad:
    """``sink``, ``source``: the bridge's input and output."""

    def __init__(self, sink: int, source: int, seed: str, callers: int) -> None:
        self.ledger = Ledger()
        self._sink, self._source = sink, source
        os.set_blocking(sink, False)
        os.set_blocking(source, False)
        self._mixes = [Mix(seed, f"stdio-{number}", pings=True) for number in range(callers)]
        self._mix = self._mixes[0]
        self._random = random.Random(f"{seed}/stdio")
        self._pack = msgpack.Packer().pack
        self._out = bytearray()
        self._rest = b""
        self._number = 0
        self._window, self._left = 1, 0
        self._flood = False
        self._cancels: list[tuple[float, int]] = []
        self._heard = 0.0
        #: The ping of the probe that is under way, when it was sent, and the phase.
        self._ping: tuple[int, float, str] | None = None
        self._cpu_wait: CpuWait
        self._waited_s = 0.0
        self._pinged = 0.0
        self._next_report = 0.0
        self._ready: dict[str, Any] | None = None
        self._bye = False
        self._ended = False
        self._asked_to_end = False

    # -- life -------------------------------------------------------------------------------

    def wait_until_ready(self) -> dict[str, Any]:
        """The map of ``$/ready``."""
        while self._ready is None and not self._ended:
            self._exchange(1.0)
        if self._ready is None:
            raise SystemExit("the bridge has ended before it was ready")
        self._cpu_wait = CpuWait(self._ready["pid"])
        self._cpu_wait.refresh()
        return self._ready

    def run(self, phases: Phases) -> None:
        """Load and probe until stdin says to end, then wait for all answers."""
        phase, ends = LOAD, 0.0
        drained, began_to_drain, asks_for_memory = True, 0.0, False
        self._heard = time.monotonic()
        while not self._asked_to_end and not self._ended:
            now = time.monotonic()
            if now >= ends:
                before = phase
                phase, ends = phases.at(now)
                if before == LOAD != phase:
                    drained, began_to_drain = False, now
                    self._cpu_wait.refresh()
                elif phase == ALONE:
                    asks_for_memory = True
            if not drained and not self.ledger.in_flight:
                self.ledger.drains.add(now - began_to_drain)
                drained = True
            if asks_for_memory and drained:
                asks_for_memory = False
                self._ask_for_memory()
            wait_s = _LOOK_S
            if drained and phase == LOAD:
                self._fill(now)
            elif drained and phase in PROBES:
                self._probe(phase, now)
                if self._ping is None:
                    wait_s = _PING_S
            self._exchange(min(wait_s, max(0.0, ends - now)))
            self._look_after(now)
        self._end()

    def _end(self) -> None:
        """Wait for the last answers, then see that nothing is left in the bridge."""
        self._wait_for_all(_LAST_S)
        self.ledger.close()
        if self._ping:
            self.ledger.fault("a ping was never answered")
        if self._ended:
            self.ledger.fault("the bridge has ended by itself")
        else:
            self._end_bridge()
        say({"ledger": self.ledger.to_json(), "last": True})

    def _end_bridge(self) -> None:
        deadline = time.monotonic() + _LAST_S
        while True:
            stats = self._ask("$/stats")
            if stats is None or not (stats["in_flight"] or stats["abandoned"] or stats["busy"]):
                break
            if time.monotonic() > deadline:
                self.ledger.fault(f"all is answered, and yet the bridge is busy: {stats!r:.500}")
                break
            time.sleep(0.05)
        say({"stats": stats})
        sys.stdin.readline()  # until the other client has ended, too
        self._ask("$/shutdown")
        deadline = time.monotonic() + _LAST_S
        while not self._ended and time.monotonic() < deadline:
            self._exchange(0.1)
        if not self._bye:
            self.ledger.fault("the bridge has ended without $/bye")

    def _wait_for_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (self.ledger.in_flight or self._ping) and not self._ended:
            if time.monotonic() > deadline:
                break
            self._exchange(_LOOK_S)
            self._look_after(time.monotonic())

    def _ask_for_memory(self) -> None:
        """Have the bridge say what it holds, now that nearly nothing is in flight."""
        self._number = self._memory_asked = self._number + 1
        self._frame([0, self._number, "memory", []])

    def _ask(self, method: str) -> Any:
        """A request to the bridge itself, and the result; None if none came."""
        self._number += 1
        number, self._answer = self._number, None
        self._asked = number
        self._frame([0, number, method, []])
        deadline = time.monotonic() + _LAST_S
        while self._asked == number and not self._ended and time.monotonic() < deadline:
            self._exchange(0.1)
        return self._answer

    _memory_asked = -1
    #: A request of ``_ask``, and its answer.
    _asked = -1
    _answer: Any = None

    # -- what is sent -----------------------------------------------------------------------

    def _fill(self, now: float) -> None:
        """Keep the window full. A new one for each burst."""
        in_flight = self.ledger.in_flight
        if len(in_flight) > self._window * 3 // 4:
            return
        for _ in range(self._window - len(in_flight)):
            if self._left <= 0:
                draw = self._random
                self._flood = draw.randrange(_FLOODS) == 0
                self._window = _FULL if self._flood else draw.choice(_WINDOWS)
                self._left = 2 * _FULL if self._flood else self._window * draw.randint(1, _ROUNDS)
                self._mix = draw.choice(self._mixes)
            self._left -= 1
            self._send(self._mix.waits() if self._flood else self._mix.next(), now)
            if len(self._out) > _READ_BYTES:
                return

    def _probe(self, phase: str, now: float) -> None:
        """One ping after the other, beside tools that are quick, and now and then slow."""
        while len(self.ledger.in_flight) < _BESIDE:
            self._send(self._mix.turns_seldom(), now)
        if self._ping is None and now - self._pinged >= _PING_S:
            self._waited_s = self._cpu_wait.so_far_s()
            self._number += 1
            self._pinged = now = time.monotonic()
            self._ping = self._number, now, phase
            self._frame([0, self._number, "$/ping", [self._number]])

    def _send(self, shot: Shot, now: float) -> None:
        self._number = number = self._number + 1
        shot.sent = now
        self.ledger.in_flight[number] = shot
        options: dict[str, Any] | None = None
        if shot.streams or shot.timeout_ms is not None or shot.session is not None:
            options = {}
            if shot.timeout_ms is not None:
                options["timeout_ms"] = shot.timeout_ms
            if shot.session is not None:
                options["session"] = shot.session
            if shot.streams:
                options["stream"] = {"items": shot.credit_items, "bytes": shot.credit_bytes}
        message = [0, number, shot.method, shot.params]
        if options is not None:
            message.append(options)
        self._frame(message)
        if shot.cancel_s is not None and shot.cancel_s >= 0:
            if shot.cancel_s == 0:
                self._frame([2, "$/cancelRequest", [number]])
            else:
                heapq.heappush(self._cancels, (now + shot.cancel_s, number))
        elif shot.streams:
            self._grant(number, shot)

    def _frame(self, message: list[Any]) -> None:
        data = self._pack(message)
        self._out += len(data).to_bytes(4, "big")
        self._out += data

    def _grant(self, number: int, shot: Shot) -> None:
        """Give a stream that has none left some credit, and sometimes one that has."""
        if shot.abandoned:
            return
        if shot.credit_items > 0 and shot.credit_bytes > 0:
            return
        items = self._random.randrange(1, 9) - min(0, shot.credit_items)
        size = self._random.randrange(1, 1000) - min(0, shot.credit_bytes)
        shot.credit_items += items
        shot.credit_bytes += size
        self._frame([2, "$/credit", [number, items, size]])

    def _look_after(self, now: float) -> None:
        """Cancels that are due, a report now and then, and is it stuck?"""
        while self._cancels and self._cancels[0][0] <= now:
            _, number = heapq.heappop(self._cancels)
            self._frame([2, "$/cancelRequest", [number]])
        if now >= self._next_report:
            self._next_report = now + _REPORT_S
            say({"ledger": self.ledger.to_json()})
        if (self.ledger.in_flight or self._ping) and now - self._heard > STUCK_S:
            self.ledger.is_stuck(now - self._heard)
            self._heard = now

    # -- what comes -------------------------------------------------------------------------

    def _exchange(self, wait_s: float) -> None:
        """Write what can be written, and handle what has come; at most so long nothing happens."""
        if self._cancels:
            wait_s = min(wait_s, _CANCEL_S)
        writers = [self._sink] if self._out else []
        readers = [self._source, 0] if not self._asked_to_end else [self._source]
        readable, writable, _ = select.select(readers, writers, (), wait_s)
        if writable:
            self._write()
        if self._source in readable:
            self._read()
        if 0 in readable:
            self._asked_to_end = True
            sys.stdin.readline()

    def _write(self) -> None:
        try:
            written = os.write(self._sink, self._out)
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._ended = True
            return
        del self._out[:written]

    def _read(self) -> None:
        data = os.read(self._source, _READ_BYTES)
        if not data:
            self._ended = True
            return
        now = self._heard = time.monotonic()
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 4:
            stop = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if stop > end:
                break
            message = _unpack(data[at + 4 : stop])
            if message[0] == 1:
                self._answered(message[1], message[2], message[3], now)
            else:
                self._told(message[1], message[2], stop - at - 4)
            at = stop
        self._rest = data[at:]

    def _answered(self, number: int, error: dict[str, Any] | None, result: Any, now: float) -> None:
        if self._ping is not None and self._ping[0] == number:
            _, sent, phase = self._ping
            self.ledger.ping(phase, now - sent, self._cpu_wait.so_far_s() - self._waited_s)
            if result != number:
                self.ledger.fault(f"ping {number} was answered {error or result!r:.200}")
            self._ping = None
            return
        if number == self._memory_asked:
            self._memory_asked = -1
            if error is None:
                say({"memory": {"at": now, **result}})
            elif error["code"] != "resource_exhausted":  # calls of gRPC may fill the queue
                self.ledger.fault(f"memory ended with {error!r:.300}")
            return
        if number == self._asked:
            self._asked, self._answer = -1, result
            return
        shot = self.ledger.answer(number, error, result, now)
        if shot is not None and shot.cancel_s == AFTER:
            self._frame([2, "$/cancelRequest", [number]])

    def _told(self, method: str, params: list[Any], size: int) -> None:
        if method == "$/item":
            number, item = params
            shot = self.ledger.item(number, item)
            if shot is None:
                return
            shot.credit_items -= 1
            shot.credit_bytes -= size
            if shot.received - 1 == shot.leave_at:
                self._frame([2, "$/cancelRequest", [number]])
            else:
                self._grant(number, shot)
        elif method == "$/progress":
            self.ledger.progress(params[0], params[3])
        elif method == "$/log":
            if params[4] is not None:
                self.ledger.note(params[4], params[2])
        elif method == "$/ready":
            self._ready = params[0]
        elif method == "$/bye":
            self._bye = True
        else:
            self.ledger.fault(f"{method} {params!r:.300}")


def main() -> None:
    """Argument: ``sink``, ``source``, ``seed`` as JSON; on stdin ``began``, ``cycle_s``; then ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who runs the soak says when it ends
    wish = json.loads(sys.argv[1])
    load = StdioLoad(wish["sink"], wish["source"], wish["seed"], callers=32)
    say({"ready": load.wait_until_ready()})
    line = json.loads(sys.stdin.readline())
    load.run(Phases(line["began"], line["cycle_s"]))


if __name__ == "__main__":
    main()
