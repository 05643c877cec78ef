"""``bridge top``: the command against real processes that serve gRPC, in a terminal and without one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("grpc")

from tests.processes import put_away
from tests.waiting import WAIT_S

from .conformance_tools import Meeting
from .grpc_peer import GrpcPeer
from .test_conformance import ADAPTER

TOKEN = "correct-horse-battery-staple"
COMMAND = [sys.executable, "-m", "bridge", "top"]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[GrpcPeer]:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    metadata = [("authorization", f"Bearer {TOKEN}")]
    started = GrpcPeer(*ADAPTER, "--token-file", str(token), metadata=metadata)
    yield started
    put_away(started)


def top(*words: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command without a terminal."""
    done = subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=3 * WAIT_S,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout, done.stderr


class Terminal:
    """The command in a terminal of so many lines and columns."""

    def __init__(self, *words: str, lines: int = 30, columns: int = 100) -> None:
        self._end, inner = pty.openpty()
        self.resize(lines, columns)
        self._inner = inner  # open, so that what is in it can be read when the command has ended
        self.before = termios.tcgetattr(inner)
        environment = {k: v for k, v in os.environ.items() if k not in ("LINES", "COLUMNS")}
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**environment, "TERM": "xterm"},
        )
        self.text = ""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def read_until(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Wait until the pattern is in what was written since."""
        end = time.monotonic() + WAIT_S
        while True:
            found = re.compile(pattern, re.DOTALL).search(self.text, since)
            if found:
                return found
            assert time.monotonic() < end, self.text[since:]
            if select.select([self._end], [], [], 0.1)[0]:
                self.text += os.read(self._end, 65536).decode(errors="replace")

    def mode(self) -> list[object]:
        mode = termios.tcgetattr(self._inner)
        mode[3] &= ~getattr(termios, "PENDIN", 0)
        return mode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._end)
        os.close(self._inner)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def pages(text: str) -> list[list[str]]:
    """The lines of each whole page that was written."""
    texts = re.findall(r"\x1b\[H(.*?)\x1b\[J", text, re.DOTALL)
    return [page.replace("\x1b[K", "").split("\r\n") for page in texts]


def test_without_a_terminal_it_is_shown_once(peer, tmp_path):
    meeting = Meeting()
    held = peer.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    for words in ((), ("--once",)):
        code, out, err = top(peer.address, "--token-file", str(tmp_path / "token"), *words)
        assert (code, err) == (0, "")
        assert "\x1b" not in out
        lines = out.splitlines()
        assert lines[0].startswith(f"bridge {peer.address}  serving  up ")
        assert lines[1].startswith("workers 1/")
        assert re.search(r"^meet +0 +0 +0 +1 ", out, re.MULTILINE)
        assert re.search(r"^bridge-worker-1 .* meet$", out, re.MULTILINE)
    visitor.go()
    peer.result(held)
    meeting.close()
    code, out, _ = top(peer.address, "--token-file", str(tmp_path / "token"), "--json")
    assert json.loads(out)["tools"]["meet"]["calls"] == 1


def test_in_a_terminal_it_refreshes_takes_its_size_and_leaves_it_as_it_was(
    peer, tmp_path, terminals
):
    words = (peer.address, "--token-file", str(tmp_path / "token"), "--interval", "0.1")
    terminal = Terminal(*words)
    terminals.append(terminal)
    terminal.read_until(r"\x1b\[\?1049h.*TOOL.*since the start|since the start.*TOOL")
    assert terminal.mode() != terminal.before
    peer.call("echo", [1])
    # what was counted between two looks, and stays in the sum
    terminal.read_until(r"in the last 0\.\d s.*\necho +\S+ +1 +0 +0 ")
    since = len(terminal.text)
    terminal.resize(9, 40)
    terminal.read_until(r"\x1b\[H[^\n]*…\x1b\[K\r\n", since)
    since = len(terminal.text)
    terminal.read_until(r"\x1b\[H.*\x1b\[J", since)
    for page in pages(terminal.text[since:]):
        assert len(page) <= 9
        assert max(map(len, page)) <= 40
    terminal.type(b"\x03")
    assert terminal.process.wait(WAIT_S) == 0
    terminal.read_until(r"\x1b\[\?25h\x1b\[\?1049l$")
    assert terminal.mode() == terminal.before


@pytest.mark.parametrize(
    ("end", "code"), [("q", 0), (signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_however_it_is_ended_the_terminal_is_restored(peer, tmp_path, terminals, end, code):
    terminal = Terminal(peer.address, "--token-file", str(tmp_path / "token"))
    terminals.append(terminal)
    terminal.read_until("WORKER|TOOL")
    if isinstance(end, str):
        terminal.type(end.encode())
    else:
        terminal.process.send_signal(end)
    assert terminal.process.wait(WAIT_S) == code
    terminal.read_until(r"\x1b\[\?1049l$")
    assert terminal.mode() == terminal.before


def test_a_process_that_leaves_is_said_to_be_gone_and_what_was_known_stays(
    peer, tmp_path, terminals
):
    words = (peer.address, "--token-file", str(tmp_path / "token"), "--interval", "0.1")
    terminal = Terminal(*words)
    terminals.append(terminal)
    terminal.read_until("TOOL")
    peer.kill()
    found = terminal.read_until(r"NO ANSWER: [^\n]*nobody answers there.*\x1b\[J")
    assert "echo" in found.group()
    terminal.type(b"q")
    assert terminal.process.wait(WAIT_S) == 0


def test_what_is_wrong_is_said_with_the_way_out(peer):
    for words, code, said in (
        ((peer.address,), 1, "the process asks for a token: --token-file FILE"),
        (("localhost:1",), 1, "localhost:1: nobody answers there"),
        (("4711",), 2, "localhost:4711"),
        ((peer.address, "--interval", "0"), 2, "must be a time in seconds from 0.1"),
        ((peer.address, "--interval", "nan"), 2, "must be a time in seconds from 0.1"),
    ):
        found, out, err = top(*words)
        assert (found, out) == (code, ""), words
        assert said in err, words
