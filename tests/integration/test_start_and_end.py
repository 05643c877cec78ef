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


def test_a_name_that_is_no_text_is_explained_on_both_ways():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    plain["PYTHONPATH"] = ROOT  # what pip has written of it is not read so, with an umlaut in it
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
