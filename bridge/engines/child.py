"""A replica in a process of this machine: what it reads and writes, and its end.

A frame is a kind, the key of a call, a length, and so many bytes of pickle. Both ends are the same
program, started by one user: nobody else can write there.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import CallError, EncodeError, shorten
from .interfaces import Event, Host, Work

_HEADER = struct.Struct(">BQQ")
#: Kinds of frames to a child, and from it.
HOST, CALL, CANCEL, GRANT, CLOSE = range(5)
READY, FAILED, EVENT = range(5, 8)


def read_frame(descriptor: int) -> tuple[int, int, bytes] | None:
    """The next frame; None: the other end is gone."""
    header = _read(descriptor, _HEADER.size)
    if header is None:
        return None
    kind, key, length = _HEADER.unpack(header)
    data = _read(descriptor, length)
    return None if data is None else (kind, key, data)


def write_frame(descriptor: int, kind: int, key: int = 0, data: bytes = b"") -> None:
    """Write all of a frame. Raises ``OSError``: the other end is gone."""
    header = _HEADER.pack(kind, key, len(data))
    for part in (header + data,) if len(data) < 65536 else (header, data):
        view = memoryview(part)
        while view:
            view = view[os.write(descriptor, view) :]


def _read(descriptor: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def serve(reads: int, writes: int) -> None:
    """Be a replica until the other end is gone. The main thread of a process of its own.

    Args:
        reads: descriptor of the pipe on which calls come.
        writes: that of the one for events.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that is called
    lock = threading.Lock()

    def write(kind: int, key: int = 0, data: bytes = b"") -> None:
        with lock:
            write_frame(writes, kind, key, data)

    try:
        _serve(reads, write)
    finally:
        os._exit(0)  # tools that still run have nobody to answer


def _serve(reads: int, write: Callable[..., None]) -> None:
    first = read_frame(reads)
    if first is None:
        return
    try:
        host: Host = pickle.loads(first[2])()
    except BaseException as error:
        write(FAILED, 0, (str(error) or traceback.format_exc()).encode("utf-8", "replace"))
        return
    write(READY)

    def sender(key: int) -> Callable[[Event], None]:
        def send(event: Event) -> None:
            try:
                data = pickle.dumps(event, pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                raise EncodeError(
                    f"{shorten(event[1])} cannot be sent from the replica: {error}"
                ) from error
            write(EVENT, key, data)

        return send

    while True:
        frame = read_frame(reads)
        if frame is None:
            return
        kind, key, data = frame
        if kind == CALL:
            try:
                work: Work = pickle.loads(data)
            except Exception as error:
                text = f"the arguments could not be read in the replica: {error}"
                sender(key)(("error", CallError(text, started=False).to_wire()))
            else:
                host.start(work, sender(key))
        elif kind == CANCEL:
            host.cancel(key)
        elif kind == GRANT:
            host.grant(key, 1)
        elif kind == CLOSE:
            host.close()
            return


def dumps(value: Any) -> bytes:
    """The bytes of what is sent to a child. Raises whatever pickle does."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
