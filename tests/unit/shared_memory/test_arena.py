"""Places in a file in memory: whose each is, and when it is free again."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.shared_memory import Arena, Held, MemoryFile, materialize, why_unavailable
from bridge.shared_memory.memory_file import TOKEN_BYTES
from bridge.wire import Shared

pytestmark = pytest.mark.skipif(
    why_unavailable() is not None, reason=f"no shared memory here: {why_unavailable()}"
)
MIB = 1 << 20


def new_arena(most: int = 64 * MIB, **options: Any) -> Arena:
    return Arena(most, lambda file: None, **options)


def used(arena: Arena) -> int:
    count: int = arena.describe()["places"]
    return count


def test_a_file_cannot_become_shorter_nor_be_opened_by_others() -> None:
    file = MemoryFile()
    try:
        assert os.fstat(file.descriptor).st_mode & 0o777 == 0o600
        assert not os.get_inheritable(file.descriptor)
        with pytest.raises(OSError, match="not permitted"):
            os.ftruncate(file.descriptor, 0)
        file.grow(TOKEN_BYTES, 1 << 16)
        assert (
            os.fstat(file.descriptor).st_blocks * 512 >= 1 << 16
        )  # it is there, not only promised
        assert file.read(0, TOKEN_BYTES) == file.token
    finally:
        file.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_another_user_cannot_open_it() -> None:
    file = MemoryFile()
    path = f"/proc/{file.pid}/fd/{file.descriptor}"
    program = f"import os; os.setgid(65534); os.setuid(65534); open({path!r}, 'rb')"
    try:
        with open(path, "rb") as opened:  # root can, and so could this user
            assert opened.read(TOKEN_BYTES) == file.token
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "PermissionError" in done.stderr
    finally:
        file.close()


def test_a_message_that_is_dropped_gives_its_place_back() -> None:
    arena = new_arena()
    found = arena.fill(MIB)
    assert found is not None
    assert used(arena) == 1
    del found
    assert used(arena) == 0


def test_a_place_is_lent_before_its_message_is_sent() -> None:
    arena = new_arena()
    found = arena.fill(MIB)
    assert found is not None
    place, loan = found
    assert not arena.release(place.number)  # the peer does not have it yet
    loan.hand_over()
    assert arena.release(place.number)
    del loan, found
    assert used(arena) == 0
    assert not arena.release(place.number)


def test_what_the_peer_names_is_what_it_was_given() -> None:
    arena = new_arena()
    place = arena.grant(MIB)
    assert place is not None
    wrong: list[tuple[Any, Any, Any]] = [
        (place.number + 1, place.offset, MIB),
        (place.number, place.offset + 1, MIB),
        (place.number, place.offset, MIB + 1),
        (place.number, place.offset, 0),
        (place.number, place.offset, -1),
        (place.number, place.offset, 1.5),
        (True, place.offset, MIB),
        (None, None, None),
        ("x" * 1000, place.offset, MIB),
    ]
    for number, offset, size in wrong:
        with pytest.raises(ValueError, match="place"):
            arena.hold(number, offset, size)
    held = arena.hold(place.number, place.offset, MIB - 1)
    with pytest.raises(ValueError, match="no place"):
        arena.hold(place.number, place.offset, MIB - 1)  # used already
    assert not arena.release(place.number)
    arena.drop(held)
    assert used(arena) == 0
    assert arena.describe()["used_bytes"] == 0


def test_a_full_arena_gives_nothing_and_counts_that() -> None:
    arena = new_arena(8 * MIB)
    places = [arena.grant(3 * MIB) for _ in range(3)]
    assert [place is None for place in places] == [False, False, True]
    assert arena.fill(100 * MIB) is None
    told = arena.describe()
    assert (told["received"]["refused"], told["received"]["refused_bytes"]) == (1, 3 * MIB)
    assert told["sent"]["refused"] == 1
    assert arena.release(places[0].number)  # type: ignore[union-attr]
    assert arena.grant(3 * MIB) is not None


def test_without_memory_there_is_the_pipe() -> None:
    now = [0.0]
    memory = [0]
    arena = new_arena(free=lambda: memory[0], clock=lambda: now[0])
    assert arena.grant(MIB) is None
    assert "no" in arena.describe()["trouble"]
    memory[0] = 1 << 40
    assert not arena.can_grow(MIB)  # the system is not asked for every message
    now[0] = 2.0
    assert arena.grant(MIB) is not None
    assert arena.describe()["trouble"] is None


def test_a_file_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    arena = new_arena()
    assert arena.fill(MIB) is None
    assert "Too many open files" in arena.describe()["trouble"]
    assert "Too many open files" in str(why_unavailable())


def test_an_idle_file_is_given_back() -> None:
    now = [0.0]
    arena = new_arena(clock=lambda: now[0])
    place = arena.grant(MIB)
    assert place is not None
    now[0] = 100.0
    assert not arena.let_go(30.0)
    arena.release(place.number)
    assert not arena.let_go(30.0)  # just now somebody had it
    now[0] = 131.0
    assert arena.let_go(30.0)
    assert arena.describe()["reserved_bytes"] == 0
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(place.file.descriptor)
    again = arena.grant(MIB)
    assert again is not None
    assert again.file.token != place.file.token


def test_two_threads_that_need_room_at_once_get_a_place_each() -> None:
    arena = new_arena()
    barrier = threading.Barrier(4)
    places: list[Any] = []

    def take() -> None:
        barrier.wait(20)
        places.append(arena.grant(6 * MIB))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    spans = sorted((place.offset, place.offset + place.taken) for place in places)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_view_that_ends_while_the_lock_is_held_is_given_back() -> None:
    arena = new_arena()
    place = arena.grant(MIB)
    assert place is not None
    held = Held(arena, arena.hold(place.number, place.offset, MIB))
    with arena._lock:  # as a garbage collection in the midst of another call
        del held
    assert used(arena) == 0


def lend() -> tuple[Arena, Held]:
    arena = new_arena()
    place = arena.grant(2 * MIB)
    assert place is not None
    place.file.write(place.offset, b"\1\2\3\4" * (MIB // 2))
    return arena, Held(arena, arena.hold(place.number, place.offset, 2 * MIB))


HEAD = b"u8".ljust(8, b"\0") + (1).to_bytes(8, "little") + MIB.to_bytes(8, "little")


def test_an_array_holds_its_place_until_its_last_view_is_gone() -> None:
    numpy = pytest.importorskip("numpy")
    arena, held = lend()
    value = materialize({"x": [Shared(2, 0, MIB, HEAD), Shared(0, MIB, 8, b"")]}, held)
    del held
    array, data = value.pop("x")
    assert (array[:4].tolist(), data) == ([1, 2, 3, 4], bytes([1, 2, 3, 4] * 2))
    assert not array.flags.writeable
    views = [array[10:], memoryview(array), numpy.frombuffer(array.data, "u4").reshape(2, -1)]
    del array, value
    for _ in range(3):
        gc.collect()
        assert used(arena) == 1
        view = views.pop()
        assert memoryview(view).nbytes > 0
        del view
    gc.collect()
    assert used(arena) == 0


def test_what_is_copied_holds_no_place() -> None:
    arena, held = lend()
    value = materialize([Shared(0, 4, 8, b""), Shared(1, 0, 4, b"")], held)
    del held
    assert value == [bytes([1, 2, 3, 4] * 2), "\1\2\3\4"]
    assert used(arena) == 0


def test_when_places_are_short_an_array_is_a_copy() -> None:
    pytest.importorskip("numpy")
    arena = new_arena(3 * MIB)
    place = arena.grant(2 * MIB)
    assert place is not None
    held = Held(arena, arena.hold(place.number, place.offset, 2 * MIB))
    array = materialize(Shared(2, 0, MIB, HEAD), held)
    del held
    assert array.nbytes == MIB
    assert used(arena) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3 * MIB)), max_size=40))
def test_no_byte_of_a_place_is_anothers(steps: list[tuple[int, int]]) -> None:
    arena = new_arena(16 * MIB)
    mine: list[tuple[Any, Any, bytes]] = []
    for number, (kind, size) in enumerate(steps):
        if kind < 4 or not mine:
            mark = bytes([number]) * 16
            found = arena.fill(size) if kind % 2 else (arena.grant(size), None)
            if found is None or found[0] is None:
                continue
            place, loan = found
            assert place.offset >= TOKEN_BYTES
            place.file.write(place.offset, mark[:size])
            place.file.write(place.offset + max(0, size - 16), mark[: min(size, 16)])
            mine.append((place, loan, mark))
        else:
            place, loan, mark = mine.pop(size % len(mine))
            ends = (
                place.file.read(place.offset, min(16, place.size)),
                place.file.read(place.offset + max(0, place.size - 16), min(16, place.size)),
            )
            assert ends == (mark[: place.size], mark[: min(place.size, 16)])
            if loan is not None:
                loan.hand_over()
            assert arena.release(place.number)
    for place, loan, mark in mine:
        assert place.file.read(place.offset, min(16, place.size)) == mark[: place.size]
        if loan is not None:
            loan.hand_over()
        assert arena.release(place.number)
    mine.clear()
    assert used(arena) == 0
    arena.let_go(-1.0)


@pytest.mark.parametrize("error", [OSError, ImportError], ids=["no address space", "no module"])
def test_arrays_are_copies_where_nothing_can_be_mapped(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    numpy = pytest.importorskip("numpy")
    arena, held = lend()
    held._place.file.write(held._place.offset, b"abcd")

    def refuse(*args: object) -> None:
        raise error("nothing can be mapped")

    monkeypatch.setattr(MemoryFile, "map", refuse)
    head = b"u8".ljust(8, b"\0") + (1).to_bytes(8, "little") + (4).to_bytes(8, "little")
    array = materialize([Shared(2, 0, 4, head)], held)[0]
    assert array.tobytes() == b"abcd"
    assert isinstance(array, numpy.ndarray)
    del held
    assert used(arena) == 0  # the array has no part in it


def test_a_lack_of_memory_is_told_as_that_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    arena, held = lend()

    def refuse(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(MemoryFile, "read", refuse)
    with pytest.raises(RemoteProtocolError, match="no memory") as caught:
        materialize([Shared(0, 0, 4, b"")], held)
    assert caught.value.code == "resource_exhausted"
    del held, caught
    gc.collect()
    assert used(arena) == 0
