"""Large values through shared memory, with a peer that is written from the protocol alone."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from bridge.shared_memory import why_unavailable

from ..memory_peer import BYTES, TABLE, TENSOR, TEXT, MemoryPeer, prefix, refer
from ..waiting import wait_until

pytestmark = pytest.mark.skipif(
    why_unavailable() is not None, reason=f"no shared memory here: {why_unavailable()}"
)
TOOLS = ("--adapter", "memory_tools:Tools", "--app-dir", str(Path(__file__).parent))
MIB = 1 << 20


@pytest.fixture
def peer() -> Iterator[MemoryPeer]:
    with MemoryPeer(*TOOLS) as peer:
        yield peer


def memory(peer: MemoryPeer) -> dict[str, Any]:
    error, stats = peer.call("$/stats")
    assert error is None
    told: dict[str, Any] = stats["shared_memory"]
    return told


def places_are_free(peer: MemoryPeer) -> bool:
    told = memory(peer)
    return (told["places"], told["used_bytes"]) == (0, 0)


def f32(count: int) -> bytes:
    return b"f32".ljust(8, b"\0") + struct.pack("<2Q", 1, count)


def test_the_first_large_result_lies_in_shared_memory(peer: MemoryPeer) -> None:
    assert "shared_memory" in peer.ready["features"]
    error, result = peer.call("make", [3 * MIB])
    assert (error, result) == (None, bytes(3 * MIB))
    assert peer.place is not None
    told = memory(peer)
    assert (told["sent"]["messages"], told["sent"]["bytes"]) == (1, 3 * MIB)
    assert told["places"] == 1
    peer.release()
    wait_until(lambda: places_are_free(peer))


def test_small_results_stay_in_the_pipe(peer: MemoryPeer) -> None:
    assert peer.call("make", [MIB - 1]) == (None, bytes(MIB - 1))
    assert peer.place is None
    assert memory(peer)["reserved_bytes"] == 0  # there is no file yet


def test_values_of_every_kind_anywhere_in_a_result(peer: MemoryPeer) -> None:
    numpy = pytest.importorskip("numpy")
    size = 2 * MIB
    error, result = peer.call("nested", [size])
    assert error is None
    assert peer.place is not None
    assert result["a"][0] == b"x" * size
    tensor = result["a"][1]["b"]
    assert (tensor.code, tensor.data[:3]) == (2, b"f32")
    assert numpy.frombuffer(tensor.data[32:], "<f4")[-1] == size // 4 - 1
    assert result["c"] == "\u00fc" * size
    assert (result["d"], result["e"]) == (bytes(size), 1)


def test_arguments_of_every_kind(peer: MemoryPeer) -> None:
    data, text = os.urandom(MIB), "t\u00fc" * MIB
    error, result = peer.lend("digest", [(BYTES, b"", data), (TEXT, b"", text.encode())])
    assert error is None
    assert result == [hashlib.blake2b(part).digest() for part in (data, text.encode())]
    error, result = peer.lend("echo", [(TEXT, b"", b"\xff" * MIB)])
    assert (error, result) == (None, b"\xff" * MIB)  # text that is none is bytes, as everywhere
    peer.release()
    wait_until(lambda: places_are_free(peer))


def test_an_array_that_is_kept_holds_its_place(peer: MemoryPeer) -> None:
    pytest.importorskip("numpy")
    values = struct.pack("<f", 1.5) * MIB
    assert peer.lend("keep", [(TENSOR, f32(MIB), values)]) == (None, False)  # read-only
    assert memory(peer)["places"] == 1
    for _ in range(3):
        peer.lend("digest", [(BYTES, b"", os.urandom(4 * MIB))])
    assert peer.call("kept_sum") == (None, 1.5 * (MIB - 1))
    peer.call("drop")
    wait_until(lambda: places_are_free(peer))


def test_an_async_tool_and_one_of_a_table(peer: MemoryPeer) -> None:
    assert peer.lend("later", [(BYTES, b"", b"z" * MIB)]) == (None, b"z" * MIB)
    peer.release()
    arrow = pytest.importorskip("pyarrow")
    sink = arrow.BufferOutputStream()
    table = arrow.table({"x": list(range(300_000))})
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    data = sink.getvalue().to_pybytes()
    assert peer.lend("rows", [(TABLE, b"", data)]) == (None, 300_000)
    error, result = peer.lend("echo", [(TABLE, b"", data)])
    assert error is None
    assert peer.place is not None
    assert (result.code, result.data) == (3, data)


def test_items_of_a_stream_in_their_order_and_against_its_credit(peer: MemoryPeer) -> None:
    error, _ = peer.call("items", [6, 2 * MIB], stream={"items": 10, "bytes": 100 * MIB})
    assert error is None
    items = [note[2][1] for note in peer.notes]
    assert items == [bytes([0]) * 2 * MIB, 1, bytes([2]) * 2 * MIB, 3, bytes([4]) * 2 * MIB, 5]
    # what is in shared memory counts: the first item spends it all
    msgid = peer.request("items", [4, 2 * MIB], stream={"items": 10, "bytes": MIB})
    assert peer.receive()[2] == [msgid, bytes(2 * MIB)]
    assert peer.call("$/ping", [1]) == (None, 1)
    assert len(peer.notes) == 6
    peer.send([2, "$/cancelRequest", [msgid]])
    assert peer.receive()[2]["code"] == "cancelled"


def test_a_call_that_was_cancelled_gives_its_places_back(peer: MemoryPeer) -> None:
    place = peer.reserve(MIB)
    assert place is not None
    head = prefix(place[0], place[1], MIB)
    msgid = peer.request("echo", [refer(BYTES, 0, MIB)], head, timeout_ms=0)
    assert peer.receive()[:2] == [1, msgid]
    peer.release()  # it may have been quicker than its timeout
    wait_until(lambda: places_are_free(peer))


def test_a_forked_child_writes_over_nothing(peer: MemoryPeer, tmp_path: Path) -> None:
    assert peer.call("make", [1 << 20])[0] is None  # so that the child has a file
    peer.release()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    error, value = peer.call("forks", [3 << 20, str(fifo)])
    assert error is None
    assert value == b"p" * (3 << 20)
    assert peer.place is not None
    _, offset, size = peer.place
    with open(fifo, "w"):  # it goes on now, and returns what it has
        assert peer.call("await_child") == (None, None)
    with open(peer.path(), "rb") as file:
        file.seek(offset)
        assert b"c" not in file.read(size)


@pytest.mark.parametrize(
    "prefixed",
    [
        lambda place: prefix(place[0] + 7, place[1], MIB),
        lambda place: prefix(place[0], place[1] + 4096, MIB),
        lambda place: prefix(place[0], place[1], MIB + 1),
        lambda place: prefix(place[0], place[1], 2**64 - 1),
        lambda place: prefix(place[0], 0, MIB),
    ],
)
def test_a_place_that_was_not_given_is_refused(peer: MemoryPeer, prefixed: Any) -> None:
    place = peer.reserve(MIB)
    assert place is not None
    error, _ = peer.call("echo", [refer(BYTES, 0, 5)], prefixed(place))
    assert (error["code"], error["started"]) == ("invalid_argument", False)
    assert "place" in error["message"]
    peer.send([2, "$/release", [place[0]]])
    wait_until(lambda: places_are_free(peer))


@pytest.mark.parametrize(
    ("param", "said"),
    [
        (refer(BYTES, MIB, 1), "in a place of"),
        (refer(BYTES, 2**64 - 1, 2**64 - 1), "in a place of"),
        (refer(77, 0, 5), "unknown kind"),
        (msgpack.ExtType(5, b"\0" * 16), "cut off"),
        (refer(TENSOR, 0, 8, f32(3)), "bytes of elements"),
        (refer(TENSOR, 0, 8, b"f32"), "cut off"),
        ({refer(BYTES, 0, 5): 1}, "unhashable|scalars|key"),
    ],
)
def test_references_that_lead_nowhere(peer: MemoryPeer, param: Any, said: str) -> None:
    place = peer.reserve(MIB)
    assert place is not None
    packed = msgpack.packb([0, 99, "echo", [param]])
    peer.send(packed, prefix(place[0], place[1], MIB))
    response = peer.receive()
    assert response[:2] == [1, 99]
    assert response[2]["code"] == "invalid_argument", response
    assert re.search(said, response[2]["message"]), response[2]["message"]
    wait_until(lambda: places_are_free(peer))
    assert peer.call("$/ping", [1]) == (None, 1)


def test_a_reference_in_a_message_without_a_place(peer: MemoryPeer) -> None:
    error, _ = peer.call("echo", [refer(BYTES, 0, 5)])
    assert error["code"] == "invalid_argument"
    assert "has none" in error["message"]


def test_frames_that_were_changed_end_nothing(peer: MemoryPeer) -> None:
    dice = random.Random(25)
    for _ in range(60):
        place = peer.reserve(MIB)
        assert place is not None
        message = prefix(place[0], place[1], MIB) + msgpack.packb(
            [0, 2**40, "echo", [refer(BYTES, 3, 1000), refer(TEXT, 0, 9), "x"]]
        )
        changed = bytearray(message)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(3, len(changed))] = dice.randrange(256)
        peer.send(bytes(changed))
        peer.send([2, "$/release", [place[0]]])
        peer.call("$/ping", [1])
    wait_until(lambda: places_are_free(peer))


def test_a_message_counts_with_all_that_it_has() -> None:
    with MemoryPeer(*TOOLS, "--max-message-bytes", str(2 * MIB)) as peer:
        assert peer.reserve(2 * MIB + 1) is None  # the pipe refuses it with its own words
        assert peer.lend("digest", [(BYTES, b"", b"a" * 2 * MIB)])[0] is None
    with MemoryPeer(*TOOLS, "--max-answer-bytes", str(2 * MIB)) as peer:
        error, _ = peer.call("make", [3 * MIB])
        assert error["code"] == "resource_exhausted"
        assert "--max-answer-bytes" in error["message"]
        assert places_are_free(peer)


def test_a_full_arena_is_the_pipe() -> None:
    with MemoryPeer(*TOOLS, "--shared-memory", str(4 * MIB)) as peer:
        assert peer.call("make", [3 * MIB]) == (None, bytes(3 * MIB))
        assert peer.place is not None
        kept = peer.place[0]
        assert peer.reserve(3 * MIB) is None
        assert peer.call("make", [3 * MIB]) == (None, bytes(3 * MIB))
        assert peer.place is None
        assert memory(peer)["sent"]["refused"] == 1
        peer.send([2, "$/release", [kept]])
        assert peer.reserve(3 * MIB) is not None


@pytest.mark.parametrize(
    ("arguments", "extensions", "opens"),
    [
        (("--shared-memory", "0"), (3, 5), True),
        ((), (3,), True),  # a client of 0.2 that knows nothing of it
        ((), (3, 5), False),  # one on another machine, or without /proc
    ],
    ids=["off", "old client", "cannot open"],
)
def test_without_shared_memory_everything_goes_through_the_pipe(
    arguments: tuple[str, ...], extensions: tuple[int, ...], opens: bool
) -> None:
    with MemoryPeer(*TOOLS, *arguments, extensions=extensions, opens=opens) as peer:
        for _ in range(2):
            assert peer.call("make", [2 * MIB]) == (None, bytes(2 * MIB))
            assert peer.place is None
        assert peer.call("echo", [b"a" * 2 * MIB]) == (None, b"a" * 2 * MIB)
        told = memory(peer)
        if arguments:
            assert "shared_memory" not in peer.ready["features"]
            assert peer.call("$/reserve", [MIB])[0]["code"] == "unimplemented"
            assert (told["available"], told["trouble"]) == (False, "it is off (--shared-memory 0)")
        if not opens:
            assert (told["available"], told["places"]) == (False, 0)
            assert "/proc" in told["trouble"]


@pytest.mark.parametrize("params", [[], [0], [-1], [1.5], [True], ["x"], {"bytes": 5}, [1, 2]])
def test_what_is_no_size_gets_no_place(peer: MemoryPeer, params: Any) -> None:
    error, _ = peer.call("$/reserve", params)
    assert error["code"] == "invalid_argument"
    assert "$/reserve takes [bytes]" in error["message"]


def test_what_is_said_about_places_that_are_none_is_ignored(peer: MemoryPeer) -> None:
    for params in ([], [1], [None], ["x"], [2**63], {"a": 1}, [[]]):
        peer.send([2, "$/release", params])
        peer.send([2, "$/memory", params])
    assert peer.call("$/ping", [1]) == (None, 1)


@pytest.mark.parametrize("number", range(6))
def test_a_peer_that_dies_leaves_nothing(number: int) -> None:
    """Killed at some moment: the process ends, and with it the file, which has no name anywhere."""
    peer = MemoryPeer(*TOOLS)
    try:
        for step in range(number + 1):
            peer.request("make", [(step + 1) * MIB])
        if number % 2:
            peer.receive()
        if number % 3 == 0:
            os.kill(peer.process.pid, signal.SIGKILL)
        assert peer.process.stdin is not None
        assert peer.process.stdout is not None
        peer.process.stdin.close()
        peer.process.stdout.close()
        peer.process.wait(30)
    finally:
        peer.process.kill()
        peer.process.wait(30)
    assert not list(Path("/dev/shm").glob("*bridge*"))


def test_the_end_waits_until_what_was_answered_is_read(peer: MemoryPeer) -> None:
    """The pipe keeps what it has when the process is gone, but nobody can open its file any more."""
    assert peer.call("make", [2 * MIB]) == (None, bytes(2 * MIB))
    assert peer.place is not None
    late = peer.request("nap", [0.2, 2 * MIB])
    peer.request("$/shutdown")
    messages = [peer.receive(), peer.receive()]
    assert peer.place is None  # what is answered at the end goes through the pipe
    assert [1, late, None, bytes(2 * MIB)] in messages
    peer.release()
    assert peer.receive()[:2] == [2, "$/bye"]


def test_the_end_does_not_wait_for_ever(peer: MemoryPeer) -> None:
    assert peer.call("make", [2 * MIB]) == (None, bytes(2 * MIB))
    peer.request("$/shutdown")
    assert peer.receive()[0] == 1
    assert peer.receive()[:2] == [2, "$/bye"]


def test_a_peer_that_can_open_the_file_no_more_gets_all_through_the_pipe(peer: MemoryPeer) -> None:
    """As when a tool has made its process another user's."""
    assert peer.call("make", [2 * MIB]) == (None, bytes(2 * MIB))
    peer.release()
    assert peer.file is not None
    peer.send([2, "$/memory", [peer.file[2], False]])
    assert peer.call("make", [2 * MIB]) == (None, bytes(2 * MIB))
    assert peer.place is None
    assert peer.reserve(2 * MIB) is None
    assert memory(peer)["available"] is False
