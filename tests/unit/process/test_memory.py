"""When memory is given back: the process has grown, and does nothing, or goes on for long."""

from __future__ import annotations

import pytest

from bridge import resident_memory
from bridge.process import memory
from bridge.process.memory import MemoryWatch

MIB = 1 << 20


class Process:
    """Its memory, the time and its work, as the test sets them. ``used``: what a trim leaves."""

    def __init__(self, resident: int = 20 * MIB) -> None:
        self.resident = self.used = resident
        self.time = self.work = 0.0
        self.trims: list[float] = []
        self.watch = MemoryWatch(
            self._trim, lambda: self.resident, lambda: self.time, lambda: self.work
        )

    def _trim(self) -> None:
        self.trims.append(self.time)
        self.resident = min(self.resident, self.used)

    def run(self, seconds: float, share: float) -> None:
        """Let time pass, with the watch looking as often as it wants to."""
        end = self.time + seconds
        while self.time < end:
            wait_s = self.watch.look()
            self.time += wait_s
            self.work += share * wait_s


@pytest.fixture
def process() -> Process:
    return Process()


def test_one_that_does_not_grow_is_left_alone(process):
    process.run(10, 0.0)
    process.resident += 15 * MIB
    process.run(10, 0.0)
    assert process.trims == []


def test_within_a_second_after_the_load_memory_is_given_back(process):
    process.resident = 200 * MIB
    process.run(0.5, 1.0)
    assert process.trims == []
    process.run(1.0, 0.0)
    assert process.resident == 20 * MIB
    assert len(process.trims) == 1


def test_what_is_in_use_is_tried_more_and_more_rarely(process):
    process.resident = process.used = 200 * MIB
    process.run(100, 0.0)
    assert len(process.trims) == 1
    for _ in range(100):
        process.run(1, 0.5)
        process.run(1, 0.0)
    assert 4 <= len(process.trims) <= 30
    process.used = 20 * MIB
    process.run(100, 0.5)
    process.run(2, 0.0)
    assert process.resident == 20 * MIB


def test_what_a_call_under_way_needs_is_given_back_after_it(process):
    """Among busy neighbours a process may seem to rest for a moment."""
    process.resident, process.used = 200 * MIB, 150 * MIB
    process.run(1, 0.0)
    process.used = 20 * MIB
    process.run(0.5, 0.8)
    process.run(1, 0.0)
    assert process.resident == 20 * MIB


def test_one_that_always_does_something_is_trimmed_more_and_more_rarely(process):
    process.resident = process.used = 200 * MIB
    process.run(100, 0.3)
    assert 5 <= len(process.trims) <= 12
    process.used = 20 * MIB
    process.run(200, 0.3)
    assert process.resident == 20 * MIB


def test_of_a_large_one_little_growth_is_no_reason():
    process = Process(4000 * MIB)
    process.resident = 4400 * MIB
    process.run(10, 0.0)
    assert process.trims == []
    process.resident = 4600 * MIB
    process.run(10, 0.0)
    assert process.resident == 4000 * MIB


def test_this_process_has_memory_and_can_be_trimmed():
    assert resident_memory.resident_bytes() > MIB
    memory._trim()
    assert MemoryWatch().look() > 0


@pytest.mark.parametrize("missing", [OSError, ImportError])
def test_where_it_cannot_be_done_nothing_fails(missing, monkeypatch):
    def fail(*args: object, **options: object) -> None:
        raise missing

    monkeypatch.setattr("ctypes.CDLL", fail)
    memory._trim()


def test_where_memory_cannot_be_known_nothing_is_done(monkeypatch):
    monkeypatch.setattr(resident_memory, "open", lambda *args, **options: 1 / 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        resident_memory.resident_bytes()  # so it is that which opens

    def fail(*args: object, **options: object) -> None:
        raise OSError

    monkeypatch.setattr(resident_memory, "open", fail, raising=False)
    assert resident_memory.resident_bytes() == 0
    trims: list[None] = []
    MemoryWatch(lambda: trims.append(None)).look()
    assert trims == []
