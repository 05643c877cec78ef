"""``--metrics-port``: what Prometheus reads, from where, and what becomes no label."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.errors import CallError
from bridge.shared_memory import why_unavailable
from bridge.testing import PortPeer
from tests.memory_peer import MemoryPeer
from tests.waiting import WAIT_S, wait_until

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(__file__).parents[2] / "docs"
HERE = str(Path(__file__).parent)


@pytest.fixture
def peer(start: Callable[..., PortPeer]) -> PortPeer:
    return start("--max-workers", "2", "--metrics-port", "0")


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
        text: str = answer.read().decode()
    return text


def scrape(peer: PortPeer | MemoryPeer) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The values by name and labels."""
    assert peer.ready is not None
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(read(peer.ready["metrics_port"]))
        for sample in family.samples
    }


def value(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str):
    return samples[name, frozenset(labels.items())]


def test_what_is_counted_can_be_scraped(peer):
    for number in range(5):
        peer.call("echo", [number])
    with pytest.raises(CallError):
        peer.call("raises")
    with pytest.raises(CallError):
        peer.call("sleep", [WAIT_S], timeout_ms=10)
    samples = scrape(peer)
    assert value(samples, "bridge_calls_total", tool="echo") == 5
    assert value(samples, "bridge_call_errors_total", tool="echo") == 0
    assert value(samples, "bridge_call_errors_total", tool="raises") == 1
    assert value(samples, "bridge_run_time_seconds_count", tool="echo") == 5
    assert value(samples, "bridge_run_time_seconds_bucket", tool="echo", le="67.108864") == 5
    assert value(samples, "bridge_calls_interrupted_total", code="deadline_exceeded") == 1
    assert value(samples, "bridge_workers_limit") == 2
    states = {
        s: value(samples, "bridge_status", status=s) for s in ("serving", "stuck", "draining")
    }
    assert states == {"serving": 1, "stuck": 0, "draining": 0}


@pytest.mark.skipif(
    why_unavailable() is not None, reason=f"no shared memory here: {why_unavailable()}"
)
def test_the_bytes_of_large_data_are_counted_by_their_way():
    tools = ("--adapter", "memory_tools:Tools", "--app-dir", HERE)
    limits = ("--metrics-port", "0", "--shared-memory", str(8 << 20))
    with MemoryPeer(*tools, *limits) as peer:
        assert peer.call("make", [3 << 20])[0] is None  # this one finds room, and keeps it
        assert peer.call("make", [7 << 20])[0] is None
        samples = scrape(peer)
    for way, size in (("shared_memory", 3 << 20), ("pipe", 7 << 20)):
        sent = {"direction": "sent", "way": way}
        assert value(samples, "bridge_large_messages_total", **sent) == 1
        assert value(samples, "bridge_large_bytes_total", **sent) == size
        received = {"direction": "received", "way": way}
        assert value(samples, "bridge_large_bytes_total", **received) == 0
    assert 3 << 20 <= value(samples, "bridge_shared_memory_used_bytes") < 7 << 20
    assert value(samples, "bridge_shared_memory_reserved_bytes") <= 8 << 20


def test_they_are_answered_while_every_worker_is_busy(peer):
    waiting = [peer.request("sleep", [WAIT_S]) for _ in range(5)]
    peer.call("$/ping")
    samples = scrape(peer)
    assert value(samples, "bridge_workers_busy") == 2
    assert value(samples, "bridge_queue_length") == 3
    assert value(samples, "bridge_tool_calls_in_flight", tool="sleep") == 5
    for msgid in waiting:
        peer.cancel(msgid)


def test_nothing_that_a_caller_sends_becomes_a_label(peer):
    with pytest.raises(CallError):
        peer.call("no_such_tool_of_mine")
    peer.call("echo", [1], session="my session", metadata={"secret": "my metadata"})
    text = read(peer.ready["metrics_port"])
    assert not re.search("no_such_tool|my session|secret|my metadata", text)


def test_those_who_do_not_read_keep_nobody_from_calls(peer):
    address = "127.0.0.1", peer.ready["metrics_port"]
    silent = [socket.create_connection(address) for _ in range(50)]
    assert peer.call("echo", [3]) == 3
    for connection in silent:
        connection.close()
    assert peer.call("echo", [3]) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_forked_process_does_not_keep_the_port(start):
    peer = start("--metrics-port", "0", "--grace", "0", adapter="fault_tools:Faults")
    read(peer.ready["metrics_port"])
    child = peer.call("forks_a_child_that_stays")
    listening = [
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{peer.ready['metrics_port']:04X}")
        and line.split()[3] == "0A"
    ]
    assert len(listening) == 1
    assert listening[0] in open_files(peer.process.pid)
    wait_until(lambda: listening[0] not in open_files(child), "the child to let go of the port")


def open_files(pid: int) -> list[str]:
    return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]


# -- without stdio, and what is wrong ---------------------------------------------------------


@contextmanager
def serving(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "bridge", "--adapter", "adapters:Tools"]
    with subprocess.Popen(
        [*command, "--app-dir", HERE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=WAIT_S)


def test_beside_grpc_the_port_is_printed():
    pytest.importorskip("grpc")
    with serving("--transport", "grpc", "--port", "0", "--metrics-port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("GRPC_READY:")
        name, port = process.stdout.readline().split(":")
        assert name == "METRICS_READY"
        assert "bridge_info{" in read(int(port))


def explain(*arguments: str) -> tuple[int, str]:
    with serving(*arguments) as process:
        _, said = process.communicate(timeout=WAIT_S)
    return process.returncode, said


def test_a_port_that_is_taken_is_explained_before_the_adapter_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = explain("--adapter", "no_such:Adapter", "--metrics-port", str(port))
    assert code == 1
    assert said == (
        f"bridge: --metrics-host 127.0.0.1 --metrics-port {port}: Address already in use\n"
    )


def test_a_host_that_is_none_is_explained():
    code, said = explain("--metrics-host", "no host", "--metrics-port", "0")
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith("bridge: --metrics-host no host --metrics-port 0: ")


def test_a_host_without_a_port_is_explained():
    code, said = explain("--metrics-host", "127.0.0.1")
    assert (code, said) == (
        2,
        "bridge: --metrics-host says where --metrics-port listens, which is missing\n",
    )


# -- the page and the board -------------------------------------------------------------------


def names_of(expressions: str) -> set[str]:
    return set(re.findall(r"\b(?:bridge|process|python)_\w+", expressions))


@pytest.mark.parametrize(
    "expressions",
    [
        pytest.param(
            "\n".join(re.findall("`([^`]+)`", (DOCS / "metrics.md").read_text())), id="page"
        ),
        pytest.param((DOCS / "grafana.json").read_text(), id="board"),
    ],
)
def test_every_metric_that_is_named_is_there(peer, expressions):
    """A query for a metric that does not exist shows nothing, and says nothing."""
    peer.call("echo", [3])
    with pytest.raises(CallError):
        peer.call("sleep", [WAIT_S], timeout_ms=10)
    there = {name for name, _ in scrape(peer)}
    there |= {name.removesuffix("_count") for name in there if name.endswith("_count")}
    named = names_of(expressions) - {"process_", "python_"}
    assert named
    assert named <= there | {"bridge_tools"}


def test_every_metric_is_on_the_page(peer):
    page = names_of((DOCS / "metrics.md").read_text())
    ours = {name for name, _ in scrape(peer) if name.startswith("bridge_")}
    ends = r"_(?:bucket|count|sum)$"
    assert {re.sub(ends, "", name) for name in ours if "_seconds_" in name} <= page
    assert {name for name in ours if "_seconds_" not in name} <= page


def test_the_board_is_one():
    board = json.loads((DOCS / "grafana.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 5
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
