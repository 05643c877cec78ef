"""A bridge process under fuzzing: what is sent to it, and what must come back."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Full, Queue
from typing import Any

from msgpack import packb, unpackb

from bridge.errors import CODES
from bridge.wire.framing import encode_header

from . import canaries
from .canaries import Canaries
from .mutations import CANARY_ID
from .rules import answers_to

_ROOT = Path(__file__).parents[3]
#: How long a canary may take; then the process hangs. Long, because machines are busy.
PATIENCE_S = 30.0
#: After so many batches everything is to be answered before it goes on: ``Bridge.settle``.
SETTLE_EVERY = 20
#: A canary follows every so many mutants.
_CANARY_EVERY = 25
#: Longer frames are refused. Large enough for frames that do not fit into the buffer of a read.
LIMIT = 100_000
#: If no call was in flight so often in a row, no answer will come any more.
_IDLE_LOOKS = 200

_read_header = struct.Struct(">I").unpack_from

#: What the driver itself asks goes under this id, which no mutant and no canary has.
_OWN_ID = CANARY_ID + b"\xff\xff\xff\xff"
_OWN_NUMBER = int.from_bytes(_OWN_ID[1:], "big")
_OWN_RESPONSE = b"\x94\x01" + _OWN_ID


class Finding(Exception):
    """The bridge did what it must not. ``frames``: what was sent of late, if it is known."""

    def __init__(self, message: str, frames: list[bytes] | None = None) -> None:
        super().__init__(message)
        self.frames = frames or []


class Bridge:
    """A bridge with the fuzzers' adapter, a thread that writes to it and one that reads it.

    ``owed``: how many answers the frames so far have; ``answered``: how many have come.
    """

    def __init__(self, patience_s: float = PATIENCE_S, arguments: Iterable[str] = ()) -> None:
        self._stderr = tempfile.TemporaryFile()
        self._patience_s = patience_s
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "--adapter", "scripts.stress.fuzz.adapter:Tools",
             "--max-workers", "4", "--max-queue", "1000000", "--max-message-bytes", str(LIMIT),
             *arguments],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._stderr, bufsize=0, start_new_session=True,
        )  # fmt: skip
        self.canaries = Canaries(self._trouble)
        self.owed = self.answered = self.items = 0
        self.stats: dict[str, Any] | None = None
        self._troubles: list[str] = []
        self._others: Queue[list[Any]] = Queue()
        self._recent: deque[list[bytes]] = deque(maxlen=SETTLE_EVERY + 2)
        self._to_write: Queue[bytes | None] = Queue(1)
        self._gone = False
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Bridge:
        self._await(lambda: not self._others.empty(), "is not ready")
        message = self._others.get()
        if message[:2] != [2, "$/ready"]:
            raise Finding(f"the first message is {message}")
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        try:
            self._to_write.put_nowait(None)
        except Full:
            pass  # the writer will see that nobody reads
        for thread in self._threads:
            thread.join(self._patience_s)
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            assert stream is not None
            stream.close()

    def send(self, frames: list[bytes]) -> None:
        """A batch of payloads, canaries between them. Waits until those of the last one are back."""
        data = bytearray()
        awaited = self.canaries.made
        for number, frame in enumerate(frames):
            data += encode_header(len(frame))
            data += frame
            self.owed += answers_to(frame, LIMIT)
            if number % _CANARY_EVERY == 0:
                data += self.canaries.make()
        data += self.canaries.make()
        self._await(lambda: self.canaries.answered >= awaited, "does not answer good requests")
        self._recent.append(frames)
        self._to_write.put(bytes(data))

    def settle(self) -> None:
        """Wait until everything so far is answered, and look whether it is so much as it must be."""
        made = self.canaries.made
        self._await(lambda: self.canaries.answered >= made, "does not answer good requests")
        idle = 0

        def is_answered() -> bool:
            nonlocal idle
            if self.answered >= self.owed or idle > _IDLE_LOOKS:
                return True
            idle = 0 if self._ask("$/stats", [], dict)["in_flight"] else idle + 1
            return False

        self._await(is_answered, "does not answer every frame")
        self._ask("$/ping", [], None)  # whatever is too much has come before its answer
        if self.answered != self.owed:
            raise self._finding(f"{self.answered} answers to frames that have {self.owed}")

    def finish(self) -> dict[str, Any]:
        """Look at the statistics, close the pipe, await the end. Returns the statistics."""
        self.settle()
        stats: dict[str, Any] = {}

        def is_idle() -> bool:
            stats.update(self._ask("$/stats", [], dict))
            return not stats["in_flight"]  # a worker may be about to note that it has answered

        self._await(is_idle, "has calls left")
        left = {name: stats[name] for name in ("in_flight", "queued", "busy", "abandoned")}
        left |= {name: tool["in_flight"] for name, tool in stats["tools"].items()}
        if any(left.values()) or stats["status"] != "serving":
            raise self._finding(f"something is left over: {left}")
        self._to_write.put(None)
        try:
            code = self.process.wait(self._patience_s)
        except subprocess.TimeoutExpired:
            raise self._finding("does not end when its input does") from None
        if code or self.stderr:
            raise self._finding(f"ended with {code}; stderr: {self.stderr[-2000:]}")
        return stats

    @property
    def stderr(self) -> str:
        """What it has written there: there should be nothing."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    @property
    def memory(self) -> int:
        """Its resident memory in bytes; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # -- parts ------------------------------------------------------------------------------

    def _ask(self, method: str, params: list[Any], kind: type | None) -> Any:
        """A request of our own, when nothing else is awaited; its result."""
        request = b"\x94\x00" + _OWN_ID + packb(method) + packb(params)
        self._to_write.put(encode_header(len(request)) + request)
        self._await(lambda: not self._others.empty(), f"does not answer {method}")
        message = self._others.get()
        if message[:3] != [1, _OWN_NUMBER, None] or (kind and type(message[3]) is not kind):
            raise self._finding(f"answered {method} with {str(message)[:300]}")
        return message[3]

    def _await(self, reached: Callable[[], bool], complaint: str) -> None:
        end = time.monotonic() + self._patience_s
        while not reached():
            if self._troubles:
                raise self._finding(self._troubles[0])
            if self._gone:
                raise self._finding(f"the process has ended: {self.stderr[-2000:]}")
            if time.monotonic() > end:
                raise self._finding(f"the bridge {complaint} within {self._patience_s} s")
            time.sleep(0.001)

    def _finding(self, message: str) -> Finding:
        return Finding(message, [frame for batch in self._recent for frame in batch])

    def _trouble(self, message: str) -> None:
        self._troubles.append(message)

    def _write(self) -> None:
        sink = self.process.stdin
        assert sink is not None
        while (data := self._to_write.get()) is not None:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[sink.write(rest) :]
            except OSError:
                return  # the reader tells
        sink.close()

    def _read(self) -> None:
        source = self.process.stdout
        assert source is not None
        rest = b""
        while chunk := source.read(1 << 20):
            data = rest + chunk
            at, end = 0, len(data)
            while end - at >= 4:
                stop = at + 4 + _read_header(data, at)[0]
                if stop > end:
                    break
                try:
                    self._receive(data[at + 4 : stop])
                except Exception as error:
                    self._trouble(f"{error!r} from {data[at : at + 200]!r}")
                at = stop
            rest = data[at:]
        self._gone = True

    def _receive(self, message: bytes) -> None:
        if message.startswith(_OWN_RESPONSE):
            self._others.put(unpackb(message, strict_map_key=False))
        elif message.startswith(canaries.RESPONSE):
            self.canaries.check(message, canaries.RESPONSE)
        elif message.startswith(canaries.ITEM):
            self.canaries.check(message, canaries.ITEM)
        elif message.startswith(b"\x93\x02\xa6$/item\x92"):
            self.items += 1
        elif message.startswith((b"\x94\x01", b"\x93\x02\xa7$/error\x91")):
            fields = unpackb(message, strict_map_key=False)
            self.answered += 1
            error = fields[2] if fields[0] == 1 else fields[2][0]
            if error is not None and error["code"] not in CODES:
                self._trouble(f"a code that does not exist: {error}")
        else:
            self._others.put(unpackb(message, strict_map_key=False))
