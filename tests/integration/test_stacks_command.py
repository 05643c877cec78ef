"""``bridge stacks``: the command, against real processes that serve gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("grpc")

from bridge.testing import PATIENCE_S
from tests.processes import put_away

from .conformance_tools import Meeting
from .grpc_peer import GrpcPeer
from .test_conformance import ADAPTER

TOKEN = "correct-horse-battery-staple"


def stacks(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "stacks", *words],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


@pytest.fixture
def start() -> Iterator[Callable[..., GrpcPeer]]:
    started: list[GrpcPeer] = []

    def start(*arguments: str) -> GrpcPeer:
        metadata = [("authorization", f"Bearer {TOKEN}")]
        started.append(GrpcPeer(*ADAPTER, *arguments, metadata=metadata))
        return started[-1]

    yield start
    for peer in started:
        put_away(peer)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


def test_the_command_shows_where_a_tool_is_while_every_worker_is_held(start, token_file, meeting):
    peer = start("--token-file", token_file, "--max-workers", "1")
    held = peer.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    code, out, err = stacks(peer.address, "--token-file", token_file)
    assert (code, err) == (0, "")
    assert "bridge-worker-1: meet for " in out
    assert "conformance_tools.py" in out
    assert "threads run no tool" in out
    assert TOKEN not in out
    code, out, _ = stacks(peer.address, "--token-file", token_file, "--json")
    (thread,) = [each for each in json.loads(out)["threads"] if each["tool"] is not None]
    assert (code, thread["tool"], thread["name"]) == (0, "meet", "bridge-worker-1")
    assert all(type(frame["line"]) is int for frame in thread["stack"])
    visitor.go()
    peer.result(held)
    code, out, _ = stacks(peer.address, "--token-file", token_file)
    # the worker and the threads that receive
    assert (code, out.splitlines()) == (0, [out.splitlines()[0]])
    assert out.endswith("threads run no tool\n")


def test_what_is_wrong_is_said_with_the_way_out(start, token_file, tmp_path):
    other = tmp_path / "other"
    other.write_text("another-one\n")
    guarded, open_to_all = start("--token-file", token_file), start()
    unused = "localhost:1"
    for words, code, said in (
        ((guarded.address,), 1, "the process asks for a token: --token-file FILE"),
        ((guarded.address, "--token-file", str(other)), 1, "the process asks for a token"),
        ((open_to_all.address,), 1, "start the bridge with --token-file"),
        ((unused,), 1, "localhost:1: nobody answers there"),
        ((guarded.address, "--token-file", str(tmp_path / "none")), 2, "cannot read"),
        (("python.internal:5", "--token-file", token_file), 2, "--tls-ca FILE encrypts it"),
        ((guarded.address, "--tls-cert", str(other)), 2, "belong together"),
        ((guarded.address, "--tls-ca", str(tmp_path / "none")), 2, "cannot read"),
        (("4711",), 2, "localhost:4711"),
        (("localhost",), 2, "must be HOST:PORT"),
        ((guarded.address, "--timeout", "soon"), 2, "soon"),
    ):
        found, out, err = stacks(*words)
        assert (found, out) == (code, ""), words
        assert said in err, words
        assert TOKEN not in err


def test_a_process_that_is_reached_over_a_socket_is_asked_there(start, token_file, tmp_path):
    address = f"unix:{tmp_path / 's'}"
    start("--token-file", token_file, "--host", address)
    assert stacks(address, "--token-file", token_file)[0] == 0


def test_the_help_teaches():
    code, out, _ = stacks("--help")
    assert code == 0
    for words in ("--token-file", "unix:", "Bridge.stacks(MyApp.Python)", "py-spy", "exit code"):
        assert words in out
    assert "--app-dir" not in out
