"""Several bridges over gRPC: a balancer in the client, connections that age, addresses that are taken."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc")

import grpc

from bridge.errors import CallError
from tests.waiting import PROGRAM_S, WAIT_S, wait_until

from .grpc_peer import GrpcPeer
from .test_conformance import ADAPTER

ROOT = Path(__file__).parents[2]


def test_two_replicas_are_drained_and_killed_under_load() -> None:
    """What the page shows as the client, with a ledger of each run of a tool."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.stress.replicas", "--seconds", "0", "--callers", "6"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| right |") == 3


def test_connections_end_at_their_age_and_calls_go_on() -> None:
    with GrpcPeer(*ADAPTER, "--max-connection-age", "1") as peer:
        states: list[object] = []
        peer.channel.subscribe(states.append)
        assert peer.call("echo", [0]) == 0
        calls = 0

        def has_moved() -> bool:
            nonlocal calls
            calls += 1
            try:
                assert peer.call("echo", [calls]) == calls
            except CallError as error:
                # it has met the announcement on its way: gRPC's client gives it up, the server has not seen it
                if error.code != "unavailable" or "GOAWAY" not in str(error):
                    raise
            ready = [n for n, state in enumerate(states) if state is grpc.ChannelConnectivity.READY]
            return len(ready) > 1

        wait_until(has_moved, "a second connection")


def test_a_call_that_is_longer_than_age_and_grace_ends_as_unavailable() -> None:
    age = ("--max-connection-age", "1", "--max-connection-age-grace", "0.2")
    # whoever waits there waits until it is closed
    with socket.create_server(("127.0.0.1", 0)) as nobody, GrpcPeer(*ADAPTER, *age) as peer:
        with pytest.raises(CallError) as caught:
            peer.call("meet", [nobody.getsockname()[1], "a"])
        assert caught.value.code == "unavailable"
        # only the connection has ended
        assert peer.call("echo", [1]) == 1


def complaint(*arguments: str, **more: object) -> str:
    """What a bridge says that cannot listen."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *ADAPTER, "--transport", "grpc", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        stdin=subprocess.DEVNULL,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode in (1, 2)
    line: str = done.stderr.splitlines()[-1]
    assert line.startswith("bridge: cannot listen on ")
    return line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken(host: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = complaint("--host", host, "--port", str(port))
    assert f"{host}:{port}" in line
    assert "Address already in use" in line
    assert "--port 0" in line


def test_an_address_of_another_machine_and_a_name_that_there_is_not() -> None:
    # of the block for documentation, so of no machine
    assert "no such address" in complaint("--host", "192.0.2.1", "--insecure", "--port", "0")
    line = complaint("--host", "no-such-host.invalid", "--insecure", "--port", "0")
    assert "no-such-host.invalid is no name and no address" in line


def test_a_socket_file_that_cannot_be_made(tmp_path: Path) -> None:
    assert "make its directory first" in complaint("--host", f"unix:{tmp_path}/missing/b.sock")
    (tmp_path / "file").write_text("")
    assert "no directory" in complaint("--host", f"unix:{tmp_path}/file/b.sock")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may listen anywhere")
def test_a_port_for_privileged_users() -> None:
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if limit.exists() and int(limit.read_text()) > 1:
        assert "below 1024" in complaint("--port", "1")
