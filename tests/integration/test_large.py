"""Large data through the pipe: how much memory it takes, and what waits for a peer that is slow."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from bridge.testing import PortPeer
from tests.waiting import wait_until

MIB = 1 << 20


def high_water(peer: PortPeer) -> int:
    """The most memory that the process has had so far, in bytes."""
    status = Path(f"/proc/{peer.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="its allocator gives back late"
)
@pytest.mark.parametrize("flags", [["--no-inline"], []], ids=["on workers", "on the reader"])
def test_an_echo_holds_its_payload_at_most_twice(start, flags):
    peer = start(*flags)
    tensor = np.zeros(MIB, "f4")
    for _ in range(20):
        assert peer.call("echo", [tensor[:3]]).size == 3
    before = high_water(peer)
    for value in (bytes(32 * MIB), np.zeros(8 * MIB, "f4")):
        for _ in range(3):
            peer.call("echo", [value])
    assert (high_water(peer) - before) / (32 * MIB) < 2.2


def cpu_ticks(peer: PortPeer) -> list[str]:
    """The CPU time of the process so far, in user and kernel mode."""
    return Path(f"/proc/{peer.process.pid}/stat").read_text().rsplit(")")[1].split()[11:13]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_while_the_peer_does_not_read_workers_pause_and_cancels_are_heard(start, tmp_path):
    peer = start("--max-workers", "4")
    began, cancelled = tmp_path / "began", tmp_path / "cancelled"
    waiting = peer.request("marks_its_cancel", [str(cancelled)])
    peer.pause()
    ids = [peer.request("blob", [8 * MIB, str(began)]) for _ in range(60)]
    wait_until(lambda: began.exists() and began.stat().st_size > 4, "the pipe to be full")
    seen: list[list[str]] = []

    def idle() -> bool:
        # too early only if nothing gets a turn for so long, and then the test is easier to pass
        seen.append(cpu_ticks(peer))
        return len(seen) > 100 and seen[-1] == seen[-100]

    wait_until(idle, "the bridge to do nothing any more")
    # above 32 MiB, three workers with one answer each, one in the pipe and one half read
    assert began.stat().st_size <= 5 + 3 + 2
    peer.cancel(waiting)
    wait_until(cancelled.exists, "the tool to learn that it is cancelled")
    peer.resume()
    assert [len(peer.result(msgid)) for msgid in ids] == [8 * MIB] * 60
    assert began.stat().st_size == 60
