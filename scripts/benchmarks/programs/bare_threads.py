"""A thread for each request, and nothing else: what two tools at once can gain on this machine.

    python bare_threads.py

Serves the tools of ``bench_tools`` as the functions that they are, without the bridge.
"""

from __future__ import annotations

import os
import sys
import threading

import msgpack
from bench_tools import Tools

_tools = Tools()
_writing = threading.Lock()


def main() -> None:
    """Serve descriptors 0 and 1 until end of file."""
    while header := sys.stdin.buffer.read(4):
        frame = sys.stdin.buffer.read(int.from_bytes(header, "big"))
        threading.Thread(target=_answer, args=(frame,), daemon=True).start()


def _answer(frame: bytes) -> None:
    _kind, msgid, method, params, *_options = msgpack.unpackb(frame)
    message = msgpack.packb([1, msgid, None, getattr(_tools, method)(*params)])
    with _writing:
        os.write(1, len(message).to_bytes(4, "big") + message)


if __name__ == "__main__":
    main()
