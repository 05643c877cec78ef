"""The least that can answer MessagePack-RPC from Python: one thread, no checks, no errors.

    python bare_loop.py [--beside-hog]

Reads frames, decodes, calls, encodes, and writes all replies to one read at once. Whatever it
reaches is the ceiling of any Python program behind a port. With ``--beside-hog`` another process
computes meanwhile: then it shows how the system alone, without a GIL, shares a CPU.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

import msgpack

_READ_BYTES = 65536
_PIPE_BYTES = 1 << 20  # as the bridge asks for: large messages are twice as quick


def main() -> None:
    """Serve descriptors 0 and 1 until end of file."""
    if "--beside-hog" in sys.argv:
        _start_hog()
    for descriptor in (0, 1):
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except (AttributeError, OSError):
            pass
    buffer = b""
    while data := os.read(0, _READ_BYTES):
        buffer = buffer + data if buffer else data
        position, size = 0, len(buffer)
        out: list[bytes] = []
        while size - position >= 4:
            end = position + 4 + int.from_bytes(buffer[position : position + 4], "big")
            if end <= size:
                _answer(buffer[position + 4 : end], out)
                position = end
            elif end - position <= _READ_BYTES:
                break  # a small frame, not all here yet
            else:
                _answer(_read_large(buffer, position + 4, end), out)
                position = size
        buffer = buffer[position:]
        _write(out)


def _start_hog() -> None:
    parent = os.getpid()
    if os.fork() == 0:
        os.close(0)
        os.close(1)
        while os.getppid() == parent:
            for _ in range(100_000):
                pass
        os._exit(0)


def _read_large(buffer: bytes, start: int, end: int) -> bytearray:
    """The rest of a large frame, read straight into its place."""
    frame = bytearray(end - start)
    view, have = memoryview(frame), len(buffer) - start
    view[:have] = memoryview(buffer)[start:]
    while have < len(frame):
        got = os.readv(0, [view[have:]])
        if not got:
            raise SystemExit
        have += got
    return frame


_pack = msgpack.Packer(autoreset=True).pack


def _answer(frame: bytes | bytearray, out: list[bytes]) -> None:
    kind, msgid, method, *rest = msgpack.unpackb(frame)
    if kind != 0:
        return  # credit for a stream
    params = rest[0]
    result = params[0]
    if method == "sleep":
        time.sleep(result)
    elif method == "count":
        for number in range(result):
            _append(_pack([2, "$/item", [msgid, number]]), out)
            if len(out) > 256:
                _write(out)
                out.clear()
    _append(_pack([1, msgid, None, result]), out)


def _append(message: bytes, out: list[bytes]) -> None:
    out += len(message).to_bytes(4, "big"), message


def _write(out: list[bytes]) -> None:
    # a large message is not copied once more
    for data in out if any(len(part) > _READ_BYTES for part in out) else [b"".join(out)]:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
