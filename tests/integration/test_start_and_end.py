"""What the start takes for itself and says when it fails, and what the end looks after."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.wire.codec import decode_message
from tests.waiting import WAIT_S, wait_until

HERE = str(Path(__file__).parent)
ROOT = str(Path(__file__).parents[2])
ADAPTER = "file_tools:Files"


def receive(file: Any) -> Any:
    return decode_message(file.read(int.from_bytes(file.read(4), "big")))


@pytest.mark.parametrize(
    ("fds", "redirections"),
    [
        ("0,1", "2>&-"),
        ("3,4", "3<&0 4>&1 0<&- 1>&- 2>&-"),
        ("3,4", "3<&0 4>&1 0<&-"),
        ("3,4", "3<&0 4>&1 1>&-"),
    ],
)
def test_standard_descriptors_are_taken_whatever_was_closed(fds, redirections):
    line = f'exec "$0" -P -m bridge --adapter {ADAPTER} --app-dir "$1" --fds {fds} {redirections}'
    with subprocess.Popen(
        ["/bin/sh", "-c", line, sys.executable, HERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        receive(process.stdout)
        process.stdin.write(b"\x00\x00\x00\x0b\x94\x00\x01\xa6number\x90")
        process.stdin.flush()
        number = receive(process.stdout).result
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
    assert number > 2


@pytest.mark.skipif(
    not ROOT.isascii(), reason="Python reads no .pth file that names this folder in such a locale"
)
def test_a_name_that_is_no_text_is_explained_on_both_ways():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bridge", "--adapter", b"gr\xc3\xb6\xc3\x9fen:Nichts"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | plain,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    message = decode_message(done.stdout[4:])
    assert message.method == "$/error"
    assert b"Traceback" not in done.stderr
    for text in (message.params[0]["message"], done.stderr.decode()):
        assert "there is no module" in text


ODD_ADAPTERS = {
    "import": "raise KeyboardInterrupt",
    "base": "raise BaseException('no')",
    "closed": "raise Closed",
    "init": "class Odd(Tools):\n    def __init__(self): raise KeyboardInterrupt",
    "setup": "class Odd(Tools):\n    def setup(self): raise Closed",
    "worker": "class Odd(Tools):\n    def setup_worker(self): raise BaseException('no')",
    "cancelled": (
        "import asyncio\nclass Odd(Tools):\n    async def setup(self): raise asyncio.CancelledError"
    ),
    "safe": (
        "class Odd(Tools):\n    @property\n    def __thread_safe__(self): raise SystemExit(3)"
    ),
}


@pytest.mark.parametrize("kind", ODD_ADAPTERS)
@pytest.mark.parametrize("workers", ["1", "4"])
def test_whatever_an_adapter_raises_is_told_on_both_ways(tmp_path, kind, workers):
    source = """
from bridge import ThreadSafeAdapter, tool

class Closed(Exception):
    def __getattribute__(self, name):
        raise SystemExit(name)

class Tools(ThreadSafeAdapter):
    @tool
    def add(self, a, b):
        return a + b

"""
    (tmp_path / "odd_adapter.py").write_text(source + ODD_ADAPTERS[kind] + "\n")
    serve = [sys.executable, "-P", "-m", "bridge", "--adapter", "odd_adapter:Odd"]
    done = subprocess.run(
        [*serve, "--app-dir", str(tmp_path), "--max-workers", workers],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    if kind == "safe" and workers == "1":
        return  # nobody asks
    message = decode_message(done.stdout[4:])
    assert message.method == "$/error"
    assert done.stderr.startswith(b"bridge: ")
    assert done.stderr.decode().split("\n", 1)[0][8:] in message.params[0]["message"]


def test_what_was_not_flushed_is_written_at_the_end(start, tmp_path):
    path = tmp_path / "rows.txt"
    peer = start(adapter=ADAPTER)
    peer.call("row", [str(path), "first\n"])
    peer.call("$/shutdown")
    assert peer.wait() == 0
    assert path.read_text() == "first\n"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="shared memory is no files here")
def test_shared_memory_that_nobody_removes_is_removed_at_the_end(start):
    peer = start(adapter=ADAPTER)
    segment = Path("/dev/shm", peer.call("share"))
    assert segment.exists()
    peer.call("$/shutdown")
    assert peer.wait() == 0
    wait_until(lambda: not segment.exists(), "the end of the segment")
