"""What no tool, adapter, log or peer should do: what becomes of the call, of others, of the process.

``docs/reliability.md`` tells users; every row of its table names its test, here or in ExUnit.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CallError, TransportClosed
from bridge.testing import PortPeer
from bridge.wire.framing import encode_header
from tests.processes import put_away
from tests.waiting import slowness, wait_until

from .test_life import alive, wait_until_gone

Start = Callable[..., PortPeer]

HERE = Path(__file__).parent
GRACE_S = 0.5
FAULTS = "fault_tools:Faults"


@pytest.fixture(params=["stdio", "grpc"])
def start_any(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start a bridge with the faulty tools, over either transport."""
    kind: type[PortPeer] = PortPeer
    if request.param == "grpc":
        pytest.importorskip("grpc")
        from .grpc_peer import GrpcPeer as kind
    peers = []

    def start(*arguments: str, **options: Any) -> PortPeer:
        always = ("--adapter", FAULTS, "--app-dir", str(HERE), "--max-workers", "4")
        peer = kind(*always, "--grace", str(GRACE_S), *arguments, **options)
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        put_away(peer)


@pytest.fixture
def any_peer(start_any: Start) -> PortPeer:
    """A bridge with four workers, over either transport."""
    return start_any()


@pytest.fixture
def peer(start: Start) -> PortPeer:
    """A bridge with four workers, over stdio."""
    return start("--grace", str(GRACE_S), "--max-workers", "4", adapter=FAULTS)


@pytest.fixture
def start_with_stderr(start: Start, tmp_path: Path) -> Start:
    """Start a bridge whose stderr is what a redirection of the shell says."""

    def start_it(redirection: str, adapter: str = FAULTS) -> PortPeer:
        python = tmp_path / "python"
        executable = shlex.quote(sys.executable)
        python.write_text(f'#!/bin/sh\nexec {executable} "$@" 2>{redirection}\n')
        python.chmod(0o755)
        return start("--grace", str(GRACE_S), adapter=adapter, python=str(python))

    return start_it


def error_of(peer: PortPeer, msgid: int) -> CallError:
    with pytest.raises(CallError) as caught:
        peer.result(msgid)
    return caught.value


def limit_s() -> float:
    """How long leaving may take: the grace and a second."""
    return GRACE_S + 1.0 * slowness()


def leaves_in_time(peer: PortPeer) -> bool:
    """SIGTERM: does it leave cleanly within its grace and a second?"""
    began = time.monotonic()
    peer.kill(signal.SIGTERM)
    return peer.wait() == 0 and time.monotonic() - began < limit_s()


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def leave_processes(peer: PortPeer) -> list[int]:
    """Have tools start processes that outlive their calls; their ids."""
    tools = ["forks_a_child_that_stays", "leaves_a_child", "leaves_a_child_deaf_to_sigterm"]
    left = [peer.call(tool) for tool in [*tools, "leaves_a_forked_process"]]
    assert all(map(alive, left))
    return left


# -- the process ends -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "status"),
    [("exits_hard", 3), ("segfaults", -signal.SIGSEGV), ("aborts", -signal.SIGABRT)],
)
def test_a_tool_that_ends_the_process_ends_every_call_in_it(any_peer, tool, status):
    calls = [any_peer.request("sleep", [60])]
    any_peer.call("$/ping")
    calls.append(any_peer.request(tool))
    for msgid in calls:
        with pytest.raises((TransportClosed, CallError)) as caught:
            any_peer.result(msgid)
        assert getattr(caught.value, "code", "unavailable") == "unavailable"
    assert any_peer.wait() == status
    if status < 0:
        # the line that has crashed it
        assert f"in {tool}" in any_peer.stderr


def test_a_tool_that_closes_every_descriptor_ends_the_process(peer):
    msgid = peer.request("closes_all_descriptors")
    with pytest.raises(TransportClosed):
        peer.result(msgid)
    assert peer.wait(limit_s()) == 0


def test_an_adapter_that_exits_while_it_loads_is_explained(start):
    peer = start(adapter="fault_tools:ExitsWhileItLoads", wait_until_ready=False)
    (error,) = peer.notification("$/error")
    assert "no model, no service" in error["message"]
    assert peer.wait() == 1


# -- the call fails, all else goes on -----------------------------------------------------------


def test_what_would_end_another_program_ends_only_its_call(any_peer):
    running = any_peer.request("sleep", [0.5])
    for tool, kind in {
        "raises_system_exit": "builtins.SystemExit",
        "raises_system_exit_in_the_event_loop": "builtins.SystemExit",
        "raises_keyboard_interrupt": "builtins.KeyboardInterrupt",
        "recurses_without_end": "builtins.RecursionError",
    }.items():
        for _ in range(2):
            error = error_of(any_peer, any_peer.request(tool))
            assert (error.code, error.type) == ("internal", kind)
    error = error_of(any_peer, any_peer.request("raises_what_cannot_be_printed"))
    assert "Unprintable" in error.message
    credit = {"items": 9, "bytes": 9999}
    stream = any_peer.request("yields_and_raises_system_exit", stream=credit)
    assert error_of(any_peer, stream).type == "builtins.SystemExit"
    assert any_peer.call("starts_a_thread_that_raises") is None
    assert any_peer.result(running) == 0.5
    assert leaves_in_time(any_peer)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux")
def test_a_tool_that_takes_all_memory_fails_and_gives_it_back(any_peer):
    any_peer.call("limits_memory", [64 << 20])
    running = any_peer.request("sleep", [0.5])
    # gRPC's own threads do not survive that the last byte is taken
    last = 32 if type(any_peer) is PortPeer else 1 << 16
    for piece in (1 << 20, 1 << 20, last):
        error = error_of(any_peer, any_peer.request("allocates_until_memory_error", [piece]))
        assert (error.code, error.type) == ("internal", "builtins.MemoryError")
        # of the smallest pieces there may be no room for more
        if piece == 1 << 20:
            assert "in allocates_until_memory_error" in "\n".join(error.traceback)
    assert any_peer.result(running) == 0.5
    assert any_peer.call("echo", [bytes(1 << 20)]) == bytes(1 << 20)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="it has address space in reserve"
)
def test_a_result_for_which_there_is_no_memory_fails_its_call(any_peer):
    any_peer.call("limits_memory", [64 << 20])
    msgid = any_peer.request("returns_what_does_not_fit", [48 << 20])
    assert error_of(any_peer, msgid).code == "internal"
    assert any_peer.call("echo", [1]) == 1


def test_a_process_without_memory_for_what_it_loads_later_goes_on_and_loads_it_then(start):
    peer = start(adapter="fault_tools:HasNoMemoryForModules")
    wait_until(lambda: len(peer.call("asked_for")) > 1, "a second look for what is to be loaded")
    missing = peer.call("asked_for")[0]
    assert not peer.call("is_loaded", [missing])
    peer.call("finds_memory")
    wait_until(lambda: peer.call("is_loaded", [missing]), "that it is loaded")
    assert leaves_in_time(peer)


def test_a_tool_that_closes_standard_descriptors_harms_nobody(any_peer):
    assert any_peer.call("closes_fd_1") is None
    assert any_peer.call("echo", [1]) == 1
    any_peer.call("prints", ["into nothing"])
    assert any_peer.call("closes_fd_0_and_2") is None
    assert any_peer.call("echo", [2]) == 2
    assert leaves_in_time(any_peer)


def test_what_all_tools_share_is_nothing_that_the_bridge_depends_on(start_any, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    report = ("--thread-safety-check", "--thread-safety-report", "report.json")
    peer = start_any(*report, "--app-dir", str(HERE), cwd=str(tmp_path))
    assert peer.call("changes_what_all_share", [str(elsewhere)])[0] == str(elsewhere)
    values = [1.5, "ä", {"a": -0.0}]
    assert peer.call("echo", [values]) == values
    assert peer.call("prints", ["no stdout"]) is None
    # the next to use it sees what the last one left
    assert peer.call("writes_file", ["found"]) == "found"
    assert (elsewhere / "found").exists()
    assert error_of(peer, peer.request("raises_system_exit")).type == "builtins.SystemExit"
    assert "main thread" in peer.call("installs_a_signal_handler")
    assert leaves_in_time(peer)
    assert (tmp_path / "report.json").exists()


def test_a_tool_that_holds_the_gil_delays_all_others_and_loses_none(peer):
    holder = peer.request("holds_the_gil", [1])
    assert peer.call("echo", [1]) == 1
    assert peer.result(holder) is None


# -- processes ------------------------------------------------------------------------------


def test_only_the_parent_of_a_fork_answers(any_peer):
    for _ in range(3):
        assert any_peer.call("forks_and_both_return", ["parent"]) == "parent"
        assert any_peer.call("forks_and_the_child_raises") == "parent"
    wait_until(lambda: any_peer.stderr.count("a process that a tool forked") == 6, "children")
    assert any_peer.call("echo", [1]) == 1
    assert all(len(answers) == 1 for answers in any_peer.responses.values())
    assert leaves_in_time(any_peer)


@pytest.mark.parametrize("after", [0.0, 0.05], ids=["at once", "taken over"])
def test_a_quick_tool_that_forks_is_answered_once(peer, after):
    for _ in range(50):
        peer.call("forks_when_told", [False])
    batch = [peer.request("forks_when_told", [n == 5, after]) for n in range(10)]
    assert [peer.result(msgid) for msgid in batch] == [n == 5 for n in range(10)]
    wait_until(lambda: "a process that a tool forked" in peer.stderr, "the end of the child")
    assert "Exception ignored" not in peer.stderr
    assert peer.call("echo", [1]) == 1
    assert all(len(answers) == 1 for answers in peer.responses.values())


def test_a_generator_that_forks_streams_once(any_peer):
    assert list(any_peer.stream("forks_and_both_stream", [5])) == [0, 1, 2, 3, 4]
    wait_until(lambda: "a process that a tool forked" in any_peer.stderr, "the end of the child")
    assert any_peer.call("echo", [1]) == 1


def test_a_pool_of_forked_processes_works(any_peer):
    assert any_peer.call("maps_with_forked_processes", [[1, -2, 3]]) == [1, 2, 3]


def test_no_process_that_a_tool_has_left_survives(any_peer):
    left = leave_processes(any_peer)
    assert leaves_in_time(any_peer)
    assert all(wait_until_gone(pid) for pid in left)


def test_no_process_that_a_tool_has_left_survives_the_caller_or_holds_the_pipe(peer):
    left = leave_processes(peer)
    began = time.monotonic()
    peer.close()
    with pytest.raises(TransportClosed):
        peer.notification("never", timeout_s=limit_s())
    assert peer.wait() == 0
    assert all(wait_until_gone(pid) for pid in left)
    assert time.monotonic() - began < limit_s()


def test_a_process_that_was_forked_to_load_holds_no_pipe_either(start):
    peer = start(adapter="fault_tools:ForksWhileItLoads")
    child = peer.call("child")
    try:
        peer.kill()
        with pytest.raises(TransportClosed):
            peer.notification("never")
    finally:
        with suppress(ProcessLookupError):  # the watcher may have found it
            os.kill(child, signal.SIGKILL)


# -- threads --------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "not daemon"])
def test_threads_that_never_end_do_not_keep_the_process(peer, daemon):
    assert peer.call("starts_threads_that_never_end", [daemon]) > 4
    assert leaves_in_time(peer)


def test_threads_that_print_to_the_end_do_not_change_how_it_ends(peer):
    peer.call("starts_threads_that_print")
    assert leaves_in_time(peer)


def test_a_close_that_raises_or_hangs_does_not_keep_the_process(start):
    peer = start("--grace", str(GRACE_S), adapter="fault_tools:ClosesBadly")
    assert leaves_in_time(peer)
    assert peer.notification("$/bye") == ["sigterm"]
    assert "close() has had enough" in peer.stderr
    assert leaves_in_time(start("--grace", str(GRACE_S), adapter="fault_tools:NeverCloses"))


# -- the log --------------------------------------------------------------------------------


@pytest.mark.parametrize("redirection", ["/dev/full", "&-"], ids=["full disk", "closed"])
def test_a_log_that_cannot_be_written_is_lost_and_nothing_else(start_with_stderr, redirection):
    peer = start_with_stderr(redirection, "fault_tools:ClosesBadly")
    for _ in range(3):
        assert peer.call("prints", ["lost"]) is None
    assert peer.call("starts_a_thread_that_raises") is None
    assert peer.call("echo", [1]) == 1
    assert leaves_in_time(peer)
    assert peer.notification("$/bye") == ["sigterm"]


def test_a_log_that_nobody_reads_any_more_is_lost_and_nothing_else(start_with_stderr, tmp_path):
    log = tmp_path / "log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    peer = start_with_stderr(str(log))
    os.close(reader)
    for _ in range(3):
        assert peer.call("prints", ["lost"]) is None
    assert leaves_in_time(peer)


def test_a_log_that_is_full_holds_up_who_writes_to_it_and_nobody_else(start_with_stderr, tmp_path):
    log = tmp_path / "log"
    os.mkfifo(log)
    holder = os.open(log, os.O_RDWR)
    peer = start_with_stderr(str(log))
    peer.request("prints_without_end")
    assert [peer.call("echo", [n]) for n in range(100)] == list(range(100))
    began = time.monotonic()
    peer.close()
    assert peer.wait() == 0
    assert time.monotonic() - began < limit_s()
    os.close(holder)


# -- the peer -------------------------------------------------------------------------------


def test_half_a_frame_and_then_death_is_an_end_like_others(peer, tmp_path):
    mark = tmp_path / "mark"
    frame = b"\x94\x00\x01\xabwrites_file\x91" + b"\xd9" + bytes([len(str(mark))])
    frame += str(mark).encode()
    peer.send_bytes(encode_header(len(frame)) + frame[:-1])
    began = time.monotonic()
    peer.close()
    assert peer.wait() == 0
    assert time.monotonic() - began < limit_s()
    assert not mark.exists()


def test_a_peer_that_writes_and_never_reads_is_not_bought_memory_for(peer):
    before = resident_bytes(peer.process.pid)
    peer.pause()
    sent = []

    def send() -> None:
        for _ in range(400):
            sent.append(peer.request("echo", [bytes(1 << 20)]))

    sender = threading.Thread(target=send)
    sender.start()
    history: list[int] = []

    def stands_still() -> bool:
        history.append(len(sent))
        return len(history) > 20 and history[-20] == history[-1] > 0

    wait_until(stands_still, "the pipe to be full")
    assert len(sent) < 400
    assert resident_bytes(peer.process.pid) - before < 200 << 20
    peer.resume()
    sender.join()
    assert all(len(peer.result(msgid)) == 1 << 20 for msgid in sent)


def test_a_bridge_that_was_stopped_goes_on_and_knows_what_is_overdue(any_peer):
    overdue = any_peer.request("waits", [60], timeout_ms=300)
    patient = any_peer.request("sleep", [0.5])
    any_peer.call("$/ping")
    any_peer.kill(signal.SIGSTOP)
    threading.Event().wait(0.6)  # time is what this is about
    waiting = any_peer.request("echo", [1])
    any_peer.kill(signal.SIGCONT)
    assert error_of(any_peer, overdue).code == "deadline_exceeded"
    assert any_peer.result(patient) == 0.5
    assert any_peer.result(waiting) == 1
