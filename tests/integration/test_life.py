"""Start, end and death of the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.errors import CallError, TransportClosed
from bridge.wire.codec import decode_value
from bridge.wire.framing import encode_header
from bridge.wire.messages import Response
from tests.waiting import in_thread, slowness, wait_until


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    """Wait for the end of a process that is no child of this one. True, or it fails."""
    wait_until(lambda: not alive(pid), f"the end of process {pid}")
    return True


def test_shutdown_drains_says_bye_and_exits_with_0(peer):
    slow = peer.request("sleep", [0.3])
    assert peer.call("$/shutdown") is None
    assert peer.result(slow) == 0.3
    assert peer.notification("$/bye") == ["shutdown"]
    assert peer.wait() == 0


@pytest.fixture
def heed() -> Iterator[Callable[[signal.Signals, bool], None]]:
    """Set whether programs started from here find a signal ignored, as below nohup, or not."""
    before = {}

    def heed(number: signal.Signals, heeded: bool) -> None:
        before[number] = signal.signal(number, signal.SIG_DFL if heeded else signal.SIG_IGN)

    yield heed
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["sigterm", "sighup"])
def test_a_signal_to_end_drains(start, heed, name):
    number = signal.Signals[name.upper()]
    heed(number, True)
    peer = start()
    slow = peer.request("sleep", [0.3])
    peer.call("$/ping")
    peer.kill(number)
    assert peer.result(slow) == 0.3
    assert peer.notification("$/bye") == [name]
    assert peer.wait() == 0


def test_the_end_of_a_terminal_means_nothing_to_a_bridge_started_with_nohup(start, heed):
    heed(signal.SIGHUP, False)
    peer = start()
    peer.kill(signal.SIGHUP)
    assert peer.call("sleep", [0.1]) == 0.1
    assert peer.call("echo", ["still here"]) == "still here"


def test_a_peer_that_decides_about_sigterm_is_told_and_goes_on_being_served(peer):
    peer.notify("$/hello", {"signals": True, "max_answer_bytes": 2_000})
    with pytest.raises(CallError, match="2000") as refused:
        peer.call("echo", ["x" * 2_000])
    assert refused.value.code == "resource_exhausted"
    peer.kill(signal.SIGTERM)
    assert peer.notification("$/signal") == ["sigterm"]
    assert peer.call("echo", [1]) == 1
    assert peer.call("$/shutdown") is None
    assert peer.notification("$/bye") == ["shutdown"]
    assert peer.wait() == 0


@pytest.mark.parametrize("way", ["shutdown", "sigterm"])
def test_what_was_accepted_before_the_end_is_answered_and_bye_is_the_last_word(start, way):
    count, peer = 1500, start()
    for _ in range(40):
        peer.call("echo", [1])  # it is known to be quick
    came, receive = [], peer._receive

    def note(message, size):
        came.append(message)
        receive(message, size)

    peer._receive = note
    encode = peer._encoder.request
    frames = [encode(1000 + n, "echo", [n], None) for n in range(count)]
    if way == "shutdown":
        frames.append(encode(999, "$/shutdown", [], None))
    sending = in_thread(peer.send_bytes, b"".join(encode_header(len(f)) + f for f in frames))
    if way == "sigterm":
        wait_until(lambda: came, "the first answers")
        peer.kill(signal.SIGTERM)
    assert peer.wait() == 0
    wait_until(lambda: came and getattr(came[-1], "method", "") == "$/bye", "the bye as the last")
    sending.join()
    answered = [m.msgid for m in came if isinstance(m, Response) and m.msgid >= 1000]
    assert len(answered) == len(set(answered))
    if way == "shutdown":
        assert sorted(answered) == [1000 + n for n in range(count)]
    else:
        # what comes later than the bye was not accepted
        assert sorted(answered) == [1000 + n for n in range(len(answered))]


def test_a_draining_bridge_refuses_new_calls(peer):
    running = peer.request("cooperative")
    peer.notification("$/progress")
    peer.call("$/shutdown")
    while peer.call("$/health")["status"] != "draining":
        pass
    with pytest.raises(CallError) as caught:
        peer.call("echo", [1])
    assert (caught.value.code, caught.value.started) == ("unavailable", False)
    peer.cancel(running)
    assert peer.wait() == 0


def test_a_drain_answers_what_does_not_end_within_the_grace(start):
    peer = start("--grace", "0.3")
    stuck = peer.request("sleep", [60])
    peer.call("$/ping")
    began = time.monotonic()
    peer.call("$/shutdown")
    with pytest.raises(CallError) as caught:
        peer.result(stuck)
    assert (caught.value.code, caught.value.started) == ("unavailable", True)
    assert peer.notifications[-1] == ("$/bye", ["shutdown"]) or peer.notification("$/bye")
    assert peer.wait() == 0
    assert time.monotonic() - began < 0.3 + 1.0 * slowness()


@pytest.mark.parametrize("nouse_stdio", [False, True])
def test_end_of_file_ends_the_process_although_tools_hang(start, nouse_stdio):
    peer = start("--grace", "0.3", "--max-workers", "8", nouse_stdio=nouse_stdio)
    for _ in range(8):
        peer.request("sleep", [60])
    peer.call("$/ping")
    began = time.monotonic()
    peer.close()
    assert peer.wait() == 0
    assert time.monotonic() - began < 0.3 + 1.0 * slowness()


def test_end_of_file_runs_finally_blocks_and_close(start, tmp_path):
    mark, closed = tmp_path / "mark", tmp_path / "closed"
    peer = start(env={"CLOSE_MARKER": str(closed)})
    msgid = peer.request("count", [10**9, str(mark)], stream={"items": 1, "bytes": 1000})
    while msgid not in peer.items:
        peer.call("$/ping")
    peer.close()
    assert peer.wait() == 0
    assert (mark.read_text(), closed.read_text()) == ("ended", "closed")


def test_a_child_of_a_tool_neither_holds_the_pipe_nor_survives(start):
    peer = start("--grace", "0.3")
    child = peer.call("leaves_a_child")
    assert alive(child)
    peer.close()
    assert peer.wait() == 0
    with pytest.raises(TransportClosed):
        peer.notification("never")
    assert wait_until_gone(child)


def test_the_death_of_the_parent_is_noticed_although_somebody_holds_the_pipe():
    here = str(Path(__file__).parent)
    bridge = [sys.executable, "-m", "bridge", "--adapter", "adapters:Tools", "--app-dir", here]
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    with subprocess.Popen(
        [sys.executable, "-c", parent, *bridge, "--grace", "0.2"],
        stdin=subprocess.PIPE,  # this test holds the other end, and does not close it
        stdout=subprocess.PIPE,
    ) as process:
        ready = process.stdout.read(int.from_bytes(process.stdout.read(4), "big"))
        pid = decode_value(ready)[2][0]["pid"]
        process.kill()
        process.wait()
        assert wait_until_gone(pid)


def test_a_peer_that_stops_reading_does_not_keep_the_bridge_from_leaving(start):
    peer = start("--grace", "0.3")
    peer.pause()
    for _ in range(8):
        peer.request("echo", [bytes(1 << 20)])
    peer.close()
    assert peer.wait() == 0


def test_a_peer_that_writes_without_reading_is_slowed_down_and_loses_nothing(start):
    peer = start()
    peer.pause()
    sender = threading.Thread(
        target=lambda: [peer.request("echo", [bytes(1 << 20)]) for _ in range(80)]
    )
    sender.start()
    sender.join(0.5)
    peer.resume()
    sender.join()
    assert all(len(peer.result(msgid)) == 1 << 20 for msgid in range(1, 81))


def test_what_tools_print_goes_to_stderr(peer):
    assert peer.call("prints_everywhere") == ""
    assert peer.call("echo", [1]) == 1
    for text in ("from print", "from C", "from descriptor 1", "from a child"):
        assert text in peer.stderr


def test_other_descriptors_serve_as_well(start):
    peer = start(nouse_stdio=True)
    assert peer.call("prints_everywhere") == ""
    assert peer.call("echo", [bytes(1 << 20)]) == bytes(1 << 20)
    assert "from C" in peer.stderr


def test_an_adapter_that_cannot_be_imported_is_explained_on_both_ways(start):
    peer = start(adapter="no_such_module:Tools", wait_until_ready=False)
    (error,) = peer.notification("$/error")
    assert peer.wait() == 1
    assert error["code"] == "failed_precondition"
    for text in (error["message"], peer.stderr):
        assert "there is no module 'no_such_module'" in text


def test_an_adapter_that_is_not_thread_safe_is_refused(start, tmp_path):
    (tmp_path / "plain.py").write_text(
        "from bridge import Adapter, tool\n"
        "class Plain(Adapter):\n"
        "    @tool\n"
        "    def f(self): return 1\n"
    )
    options = {"adapter": "plain:Plain", "wait_until_ready": False}
    peer = start("--app-dir", str(tmp_path), **options)
    assert peer.wait() == 1
    for way in ("__thread_safe__ = True", "@tool(serial=True)", "--max-workers 1"):
        assert way in peer.stderr
    single = start("--app-dir", str(tmp_path), "--max-workers", "1", adapter="plain:Plain")
    assert single.call("f") == 1


def test_a_usage_error_exits_with_2(start):
    assert start("--max-workers", "none", wait_until_ready=False).wait() == 2


def test_descriptors_that_are_not_open_are_a_usage_error(start):
    peer = start("--fds", "77,78", wait_until_ready=False)
    assert peer.wait() == 2
    assert peer.stderr == "bridge: --fds 77,78: Bad file descriptor\n"


def test_a_tool_that_ends_the_process_is_seen_as_its_exit(peer):
    peer.request("exits_at_once")
    assert peer.wait() == 7


def test_serving_over_stdio_imports_little(peer):
    loaded = set(peer.call("modules"))
    heavy = {"numpy", "grpc", "asyncio", "concurrent.futures", "inspect", "json", "rich"}
    assert not loaded & heavy - {"inspect"}
