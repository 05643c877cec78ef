"""How ``PortPeer`` starts a process, what it keeps, and what those who wait hear of its end."""

from __future__ import annotations

import gc
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgpack import Timestamp

from bridge.errors import CallError, RemoteProtocolError, TransportClosed
from bridge.testing import PATIENCE_S, PortPeer
from tests.waiting import in_thread, join, wait_until

HERE = str(Path(__file__).parents[2] / "integration")
TOOLS = ("--adapter", "adapters:Tools", "--app-dir", HERE, "--grace", "0.3")
#: Writes down what a program finds when it begins. A shell: Python ignores signals of its own. With
#: what is built into it where that is possible: it blocks signals while it starts another program.
PROBE = """#!/bin/sh
while read -r name mask; do
    case $name in SigBlk: | SigIgn:) echo "$name $mask" >> "$FACTS" ;; esac
done < /proc/$$/status
read -r _ _ _ _ group session _ < /proc/$$/stat
[ "$group" = $$ ] && [ "$session" = $$ ] && echo "leads group and session" >> "$FACTS"
(exec ls -l /proc/$$/fd >> "$FACTS") # redirected in a process of its own
exit 0
"""
linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")


@pytest.fixture
def peer() -> Iterator[PortPeer]:
    with PortPeer(*TOOLS) as peer:
        yield peer


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    return write_program(tmp_path / "probe", PROBE)


@pytest.fixture
def liar(tmp_path: Path) -> Callable[..., PortPeer]:
    """A peer of a program that sends these bytes instead of the bridge's, and then does ``more``."""

    def start(data: bytes, more: str = "sys.stdin.read()") -> PortPeer:
        program = f"""
            import subprocess, sys, time
            def send(data):
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
            send({data!r})
            {more}
        """
        (tmp_path / "liar.py").write_text(textwrap.dedent(program))
        script = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {tmp_path}/liar.py\n"
        liar = write_program(tmp_path / "liar", script)
        return PortPeer(python=str(liar), wait_until_ready=False)

    return start


def write_program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def read_facts(path: Path) -> tuple[list[str], dict[str, str]]:
    """What the probe has found: of signals and groups, and of descriptors."""
    lines = path.read_text().splitlines()
    links = [re.search(r"(\d+) -> (\w*:|.*)", line) for line in lines]
    # the shell reads its script from 10
    descriptors = {link[1]: link[2] for link in links if link and link[1] != "10"}
    return lines[:3], descriptors


def probed(probe: Path, tmp_path: Path, *, nouse_stdio: bool) -> tuple[list[str], dict[str, str]]:
    """What the probe finds when a ``PortPeer`` starts it."""
    facts = tmp_path / "facts"
    # one that must not be inherited, though it could be
    with open(os.devnull) as null:
        os.set_inheritable(null.fileno(), True)
        options = {"nouse_stdio": nouse_stdio, "wait_until_ready": False}
        with PortPeer(python=str(probe), env={"FACTS": str(facts)}, **options) as peer:
            assert peer.wait() == 0, peer.stderr
    return read_facts(facts)


# -- how the process is started -------------------------------------------------------------


@linux
@pytest.mark.parametrize("nouse_stdio", [False, True])
def test_a_program_finds_what_an_erlang_port_gives_it(probe, tmp_path, nouse_stdio):
    process, descriptors = probed(probe, tmp_path, nouse_stdio=nouse_stdio)
    ignored = sum(1 << number - 1 for number in (signal.SIGFPE, signal.SIGPIPE))
    assert process == [
        f"SigBlk: {0:016x}",
        f"SigIgn: {ignored:016x}",
        "leads group and session",
    ]
    stderr = descriptors.pop("2")
    if nouse_stdio:
        assert descriptors == {"0": "/dev/null", "1": stderr, "3": "pipe:", "4": "pipe:"}
    else:
        assert descriptors == {"0": "pipe:", "1": "pipe:"}


@linux
@pytest.mark.skipif(shutil.which("erl") is None, reason="Erlang is not installed")
@pytest.mark.parametrize("nouse_stdio", [False, True])
def test_an_erlang_port_gives_the_same(probe, tmp_path, nouse_stdio):
    facts = tmp_path / "of_erlang"
    options = "{packet, 4}, exit_status" + (", nouse_stdio" if nouse_stdio else "")
    program = (
        f'Port = open_port({{spawn_executable, "{probe}"}}, [{options}]),'
        "receive {Port, {exit_status, Status}} -> halt(Status) end."
    )
    subprocess.run(
        ["erl", "-noshell", "-eval", program],
        env={**os.environ, "FACTS": str(facts)},
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=PATIENCE_S,
    )
    process, descriptors = probed(probe, tmp_path, nouse_stdio=nouse_stdio)
    their_process, theirs = read_facts(facts)
    assert process == their_process
    assert set(descriptors) == set(theirs)
    for number in "34" if nouse_stdio else "01":
        assert theirs[number] in (descriptors[number], "socket:")


@pytest.mark.parametrize("nouse_stdio", [False, True])
def test_two_peers_share_no_pipe(nouse_stdio):
    """Otherwise the first would not see the end of its input while the second lives."""
    first = PortPeer(*TOOLS, nouse_stdio=nouse_stdio)
    with PortPeer(*TOOLS, nouse_stdio=nouse_stdio) as second:
        first.close()
        assert first.wait() == 0
        first.end()
        assert second.call("echo", [1]) == 1


def test_an_interpreter_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no_such_python"):
        PortPeer(*TOOLS, python="no_such_python")


# -- the end --------------------------------------------------------------------------------


def test_a_bridge_that_cannot_start_says_why_and_leaves_nothing():
    before = set(threading.enumerate())
    with pytest.raises(TransportClosed, match=r"exit status 1\n(.|\n)*no module 'missing'"):
        PortPeer("--adapter", "missing:Tools")
    assert set(threading.enumerate()) <= before
    gc.collect()  # a file or process left behind would warn


def test_a_crash_reaches_who_waits_with_its_status(peer):
    with pytest.raises(TransportClosed, match="exit status 7"):
        peer.call("exits_at_once")
    with pytest.raises(TransportClosed):
        peer.call("echo", [1])
    assert peer.exit_status == 7
    assert not peer.end_expected
    assert peer.wait() == 7
    assert peer.end_expected


def test_ending_is_clean_and_can_be_repeated(peer):
    peer.call("prints_everywhere")
    assert peer.exit_status is None
    assert (peer.end(), peer.end(), peer.exit_status) == (0, 0, 0)
    assert "from C" in peer.stderr
    with pytest.raises(TransportClosed, match="closed here"):
        peer.call("echo", [1])


def test_a_process_that_does_not_end_is_killed_with_its_children(liar):
    child = 'print(subprocess.Popen(["sleep", "60"]).pid, file=sys.stderr, flush=True)'
    peer = liar(b"", more=f"{child}; time.sleep(60)")
    wait_until(lambda: peer.stderr.endswith("\n"), "the child")
    assert peer.end(timeout_s=0.05) == -signal.SIGKILL
    wait_until(lambda: not runs(int(peer.stderr)), "the end of the child")


def test_a_sender_whom_nobody_reads_does_not_keep_the_end_back(liar):
    peer = liar(b"", more="time.sleep(60)")
    ended: list[TransportClosed] = []

    def send() -> None:
        try:
            peer.send_bytes(bytes(8 << 20))
        except TransportClosed as error:
            ended.append(error)

    sender = in_thread(send)
    wait_until(peer._port.writing.locked, "the sender")
    assert peer.end(timeout_s=0.05) == -signal.SIGKILL
    join(sender)
    assert ended


def test_what_does_not_come_is_a_timeout_with_what_was_printed(peer):
    peer.call("prints_everywhere")
    for wait in (
        lambda: peer.notification("never", timeout_s=0.01),
        lambda: peer.result(99, timeout_s=0.01),
        lambda: peer.wait(0.01),
    ):
        with pytest.raises(TimeoutError, match="from C"):
            wait()


def runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip() not in ("", "Z", "Z+")


# -- a bridge that breaks the protocol ------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\0\0\0\1\xc1", "not a MessagePack message"),
        (b"\0\0\0\1\x2a", "a message is an array"),
        (b"\0\0\0\5\x94\0\1\xa0\x90", "a request"),
        (b"\0\0\0\x0a\x93\2\xa6$/item\x90", "not enough values"),
    ],
)
def test_what_cannot_be_read_is_an_error_for_who_waits(liar, data, what):
    with liar(data) as peer, pytest.raises(RemoteProtocolError, match=what) as caught:
        peer.notification("$/ready")
    assert caught.value.__cause__ is not None


def test_who_waits_already_hears_of_it_at_once(liar):
    errors: list[Exception] = []

    def wait() -> None:
        try:
            peer.result(1)
        except RemoteProtocolError as error:
            errors.append(error)

    with liar(b"", more=r"sys.stdin.buffer.read(4); send(b'\0\0\0\1\0'); time.sleep(60)") as peer:
        waiting = in_thread(wait)
        peer.send_bytes(b"over")
        join(waiting)
        peer.kill()
    assert len(errors) == 1


def test_a_frame_that_breaks_off_is_the_end(liar):
    broken = liar(b"\0\0\0\7\x94", more="sys.exit(3)")
    with broken as peer, pytest.raises(TransportClosed, match="exit status 3"):
        peer.notification("$/ready")


# -- calls ----------------------------------------------------------------------------------


def test_an_error_is_the_class_of_its_code(peer):
    with pytest.raises(CallError, match="no_such_tool") as caught:
        peer.call("no_such_tool")
    assert type(caught.value).__name__ == "ToolNotFound"


def test_a_stream_gives_its_items_and_then_what_the_tool_returned(peer):
    def consume():
        items.append((yield from peer.stream("count", [50], items=2, size=20)))

    items: list[object] = []
    assert list(consume()) == list(range(50))
    assert items == ["counted"]


def test_a_stream_returns_exactly_the_credit_that_its_items_took(peer):
    """A window of one item's size is always full again, and never larger."""
    stream = peer.stream("blobs", [10], items=1000, size=1)
    for _ in range(20):
        next(stream)
        peer.call("$/ping")
    (items,) = (found for found in peer.items.values() if found)
    assert len(items) <= 21


def test_leaving_a_stream_cancels_it(peer, tmp_path):
    mark = tmp_path / "mark"
    for item in peer.stream("count", [10**9, str(mark)], items=2):
        if item == 2:
            break
    del item
    gc.collect()
    wait_until(lambda: peer.call("$/health")["in_flight"] == 0, "the end of the call")
    wait_until(mark.exists, "the generator's end")
    assert peer.stats()["interrupted"] == {"cancelled": 1}


def test_items_can_be_waited_for(peer):
    msgid = peer.request("count", [5], stream={"items": 2, "bytes": 1000})
    assert peer.wait_for_items(msgid, 2) == [0, 1]
    peer.credit(msgid, 10)
    assert peer.wait_for_items(msgid, 6) == [0, 1, 2, 3, 4], "the stream has ended before"


def test_many_threads_may_encode_at_once(peer):
    text = "x" * 1000

    def work(number: int) -> None:
        for turn in range(50):
            assert peer.call("echo", [[number, turn, text]]) == [number, turn, text]
            peer.notify("$/nothing", text, number)
        assert list(peer.stream("count", [20], items=3)) == list(range(20))

    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    join(*(in_thread(guarded, number) for number in range(6)))
    assert not errors


# -- memory ---------------------------------------------------------------------------------


def test_what_was_taken_is_forgotten_and_nothing_else():
    with PortPeer(*TOOLS, remember_bytes=10_000) as peer:
        waiting = [peer.request("echo", [bytes(4000)]) for _ in range(5)]
        for number in range(100):
            assert peer.call("echo", [number]) == number
            assert peer.responses[max(peer.responses)], "the last can be looked at"
        assert len(list(peer.stream("count", [200]))) == 200
        assert len(peer.responses) < 60
        assert [len(peer.result(msgid)) for msgid in waiting] == [4000] * 5
        assert len(peer.responses) < 4


def test_a_long_stream_is_forgotten_while_it_runs():
    with PortPeer(*TOOLS, remember_bytes=10_000) as peer:
        stream = peer.stream("blobs", [1000])
        for _ in range(100):
            next(stream)
        (items,) = peer.items.values()
        assert len(items) < 30
        stream.close()


def test_nothing_is_forgotten_if_so_asked():
    with PortPeer(*TOOLS, remember_bytes=None) as peer:
        for _ in range(5):
            peer.call("echo", [bytes(8 << 20)])
        assert len(peer.responses) == 5


def answer(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("result", "value"),
    [
        (b"\x81\x92\x01\x02\x03", {(1, 2): 3}),
        (b"\x81\x92\x01\x91\x02\x03", {(1, (2,)): 3}),
        (b"\x81\x81\xa1a\x90\x03", {frozenset({("a", ())}): 3}),
        (b"\xc7\x0c\xff" + b"\0" * 4 + b"\x7f" + b"\xff" * 7, Timestamp(2**63 - 1, 0)),
    ],
    ids=["a tuple", "a tuple in one", "a map", "a time beyond datetime"],
)
def test_it_reads_all_that_a_bridge_may_send(liar, result, value):
    with liar(answer(b"\x93\2\xa7$/ready\x91\x80") + answer(b"\x94\1\1\xc0" + result)) as peer:
        assert peer.result(1) == value


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"\x94\1\1\xc0\x82\xa1a\1\xa1a\2", "a map has a key twice"),
        (b"\x94\1\1\xc0\xd4\x63\0", "unknown extension type 99"),
        (b"\x93\2\xa6$/item\x92\1\xc1", "not a MessagePack message"),
        (b"\x93\2\xaa$/progress\x94\1\0\0\xd4\x63\0", "unknown extension type 99"),
    ],
    ids=["a key twice", "a result", "an item", "progress"],
)
def test_what_cannot_be_read_for_one_call_is_an_error_of_that_call(liar, bad, what):
    with liar(answer(bad) + answer(b"\x94\1\2\xc0\x2a")) as peer:
        assert peer.result(2) == 42
        with pytest.raises(RemoteProtocolError, match=what):
            peer.result(1)
        with pytest.raises(RemoteProtocolError, match=what):
            peer.result(1)
        assert peer.wait_for_items(1, 1) == []
