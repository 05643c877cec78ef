"""The process, and what its tools have started, end although the process cannot see to it."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from bridge.errors import CallError
from tests.waiting import wait_until

ADAPTER = "fault_tools:Faults"


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def members(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(name)) == group and alive(int(name)):
                found.append(int(name))
        except ProcessLookupError:
            pass
    return found


def gone(group: int) -> bool:
    wait_until(lambda: not members(group), f"the end of all in the group {group}")
    return True


def with_a_child(peer) -> int:
    """Has a tool start a program; returns the group of all."""
    child = peer.call("leaves_a_child")
    assert os.getpgid(child) == peer.process.pid
    return peer.process.pid


def hang(peer, tmp_path) -> None:
    """Have a tool hold the GIL: the reader, and every thread there is, stands still."""
    peer.request("holds_the_gil_for_good", [str(tmp_path / "holds")])
    wait_until((tmp_path / "holds").exists, "the tool")


@pytest.fixture
def wrapper(tmp_path):
    """A program that runs Python without exec, and has something to do when that has ended."""
    path = tmp_path / "wrapper"
    path.write_text(
        f'#!/bin/sh\nexport SETTING=1\n{shlex.quote(sys.executable)} "$@"\nstatus=$?\nsleep 0\nexit $status\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_process_whose_tool_holds_the_gil_ends_with_its_peer(start, tmp_path):
    peer = start("--grace", "0", adapter=ADAPTER)
    hang(peer, tmp_path)
    group = peer.process.pid
    peer.close()
    assert peer.wait() == -signal.SIGKILL
    assert gone(group)


def test_behind_a_wrapper_everything_ends_as_well(start, wrapper, tmp_path):
    peer = start("--grace", "0", adapter=ADAPTER, python=wrapper, env={"BRIDGE_OWN_GROUP": "1"})
    hang(peer, tmp_path)
    group = peer.process.pid
    peer.close()
    assert peer.wait() == 128 + signal.SIGKILL  # as the shell says it
    assert gone(group)


def test_behind_a_wrapper_a_graceful_end_ends_the_children_of_tools_and_not_the_wrapper(
    start, wrapper
):
    peer = start(adapter=ADAPTER, python=wrapper, env={"BRIDGE_OWN_GROUP": "1"})
    group = with_a_child(peer)
    peer.call("$/shutdown")
    assert peer.wait() == 0
    assert gone(group)


def test_a_group_that_may_be_somebody_elses_is_left_alone(start, wrapper):
    peer = start(adapter=ADAPTER, python=wrapper)
    child = peer.call("leaves_a_child")
    peer.call("$/shutdown")
    assert peer.wait() == 0
    wait_until(lambda: members(peer.process.pid) == [child], "the end of all others")
    os.kill(child, signal.SIGKILL)


def test_what_tools_have_started_ends_with_a_process_that_is_killed(start):
    peer = start(adapter=ADAPTER)
    peer.call("leaves_a_child_deaf_to_sigterm")
    group = with_a_child(peer)
    peer.kill()
    assert peer.wait() == -signal.SIGKILL
    assert gone(group)


def test_a_process_that_was_killed_breaks_no_pipe_before_its_peer_knows(start):
    # a port of the BEAM that writes to a closed pipe loses the exit status
    peer = start(adapter=ADAPTER)
    group = with_a_child(peer)
    peer.kill()
    wait_until(lambda: len(members(group)) == 1, "the end of all but the watcher")
    for _ in range(20):
        peer.send_bytes(b"nobody reads this")  # raises if the pipe is closed
        time.sleep(0.005)  # not for anything to happen: nothing may
    peer.close()
    assert gone(group)


def test_nothing_is_left_of_a_start_that_fails(start):
    peer = start(adapter="fault_tools:StartsAChildAndFails", wait_until_ready=False)
    assert peer.wait() == 1
    assert gone(peer.process.pid)


def test_no_tool_has_to_wait_for_the_watcher(start):
    peer = start(adapter=ADAPTER)
    with pytest.raises(CallError, match="No child processes"):
        peer.call("waits_for_any_child")
    assert len(members(peer.process.pid)) == 2
