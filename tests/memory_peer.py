"""A peer of the stdio protocol that takes shared memory, written from ``protos/stdio.md`` alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, Self

import msgpack

PLACE = bytes([0xC7, 24, 5])
BYTES, TEXT, TENSOR, TABLE = range(4)


class MemoryPeer:
    """Starts a bridge and speaks with it, a frame at a time. ``opens``: what it says to ``$/memory``."""

    def __init__(
        self, *arguments: str, opens: bool = True, extensions: tuple[int, ...] = (3, 5), **more: Any
    ) -> None:
        command = [sys.executable, "-P", "-m", "bridge", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more
        )
        self.opens = opens
        self.file: list[Any] | None = None
        self.notes: deque[Any] = deque()
        #: Of the message that was received last: the place, None if it had none.
        self.place: tuple[int, int, int] | None = None
        #: The numbers of places that came and were not given back.
        self.unreleased: list[int] = []
        self._next_id = 0
        self.ready = self.receive()[2][0]
        self.send([2, "$/hello", [{"extensions": list(extensions)}]])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait(20)
        self.process.stdout.close()

    def send(self, message: Any, prefix: bytes = b"") -> None:
        data = prefix + (message if isinstance(message, bytes) else msgpack.packb(message))
        assert self.process.stdin is not None
        self.process.stdin.write(len(data).to_bytes(4, "big") + data)
        self.process.stdin.flush()

    def receive_frame(self) -> bytes:
        assert self.process.stdout is not None
        size = int.from_bytes(self.process.stdout.read(4), "big")
        assert size, "the bridge has ended"
        return self.process.stdout.read(size)

    def receive(self) -> Any:
        """The next message; ``$/memory`` is answered and passed over."""
        while True:
            frame = self.receive_frame()
            self.place = None
            if frame[:3] == PLACE:
                numbers = [int.from_bytes(frame[3 + 8 * n : 11 + 8 * n], "big") for n in range(3)]
                self.place = (numbers[0], numbers[1], numbers[2])
                self.unreleased.append(numbers[0])
                frame = frame[27:]
            message = msgpack.unpackb(
                frame, ext_hook=self._value, strict_map_key=False, timestamp=3
            )
            if message[:2] == [2, "$/memory"]:
                self.file = message[2]
                self.send([2, "$/memory", [message[2][2], self.opens]])
                continue
            return message

    def request(self, method: str, params: Any = (), prefix: bytes = b"", **options: Any) -> int:
        self._next_id += 1
        fields = [0, self._next_id, method, params, options]
        self.send(fields, prefix)
        return self._next_id

    def call(self, method: str, params: Any = (), prefix: bytes = b"", **options: Any) -> Any:
        """The response: its error and its result. What comes before it is in ``notes``."""
        msgid = self.request(method, params, prefix, **options)
        while True:
            message = self.receive()
            if message[:2] == [1, msgid]:
                return message[2], message[3]
            self.notes.append(message)

    def release(self) -> None:
        """Give the places back of all messages that have come."""
        for number in self.unreleased:
            self.send([2, "$/release", [number]])
        self.unreleased.clear()

    def reserve(self, size: int) -> list[Any] | None:
        error, place = self.call("$/reserve", [size])
        assert error is None, error
        if place is not None:
            self.file = place[2:]
        return place

    def path(self) -> Path:
        assert self.file is not None
        return Path(f"/proc/{self.file[0]}/fd/{self.file[1]}")

    def write(self, place: list[Any], data: bytes, at: int = 0) -> None:
        with open(self.path(), "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, place[1] + at)

    def lend(self, method: str, values: list[tuple[int, bytes, bytes]], **options: Any) -> Any:
        """Call a tool with values in shared memory: kind, what comes before, and the data of each."""
        place = self.reserve(sum(-(-len(data) // 64) * 64 for _, _, data in values))
        assert place is not None
        params, at = [], 0
        for kind, head, data in values:
            self.write(place, data, at)
            params.append(refer(kind, at, len(data), head))
            at += -(-len(data) // 64) * 64
        return self.call(method, params, prefix(place[0], place[1], at), **options)

    def _value(self, code: int, data: bytes) -> Any:
        if code != 5:
            return msgpack.ExtType(code, data)
        assert self.place is not None
        kind, offset, length = (
            data[0],
            int.from_bytes(data[1:9], "big"),
            int.from_bytes(data[9:17], "big"),
        )
        assert offset + length <= self.place[2]
        with open(self.path(), "rb", buffering=0) as file:
            assert self.file is not None
            assert os.pread(file.fileno(), 32, 0) == self.file[2]
            found = os.pread(file.fileno(), length, self.place[1] + offset)
        if kind == BYTES:
            return found
        return found.decode() if kind == TEXT else msgpack.ExtType(kind, data[17:] + found)


def prefix(number: int, offset: int, size: int) -> bytes:
    """What a message begins with that has a place."""
    return PLACE + b"".join(part.to_bytes(8, "big") for part in (number, offset, size))


def refer(kind: int, offset: int, length: int, head: bytes = b"") -> msgpack.ExtType:
    """A reference into the place of a message."""
    return msgpack.ExtType(
        5, bytes([kind]) + offset.to_bytes(8, "big") + length.to_bytes(8, "big") + head
    )
