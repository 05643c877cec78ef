"""The role that is taken over from a thread that is held up, and its numbered interleavings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bridge.calls.inline import watchdog
from bridge.calls.inline.watchdog import Watchdog
from tests.scripted import ScriptedLock
from tests.waiting import WAIT_S, wait_until

NAME = "test-watchdog"
#: A piece of work may last for ever, however slow the machine is; and not at all.
EVER_S, NEVER_S = 1000.0, 0.0


class Service:
    """Leads under a watchdog as the test says: each term waits for its orders."""

    def __init__(self, limit_s: float) -> None:
        self.watchdog = Watchdog(self.lead, NAME, limit_s)
        self.terms: list[int] = []
        self.threads: dict[int, int] = {}
        self.arrived = threading.Semaphore(0)
        self.may_end = {term: threading.Event() for term in range(1, 9)}

    def lead(self, term: int, thread: int) -> None:
        self.terms.append(term)
        self.threads[term] = thread
        self.arrived.release()
        assert self.may_end[term].wait(WAIT_S)

    def begin(self) -> None:
        self.watchdog.start()
        self.wait_for_term()

    def wait_for_term(self) -> None:
        assert self.arrived.acquire(timeout=WAIT_S), "nobody leads"

    def wait_for_looks(self) -> None:
        """Wait until the thread that stands by has looked, and would have taken over if it could.

        It sleeps only after many looks in a row without a new piece.
        """
        wait_until(lambda: self.watchdog._asleep, "the other thread to fall asleep")

    def end(self) -> None:
        self.watchdog.end()
        for event in self.may_end.values():
            event.set()


@pytest.fixture
def service() -> Iterator[Callable[..., Service]]:
    """Makes services that end with their test."""
    made: list[Service] = []

    def make(limit_s: float) -> Service:
        made.append(Service(limit_s))
        return made[-1]

    yield make
    for each in made:
        each.end()


def on_standby() -> bool:
    """Whether the calling thread is the one that stands by in the first term."""
    return threading.current_thread().name == f"{NAME}-2"


def test_the_leader_keeps_the_role_while_nothing_holds_it_up(service):
    subject = service(EVER_S)
    subject.begin()
    for _ in range(100):
        assert subject.watchdog.watch(1, time.monotonic())
        assert subject.watchdog.release(1)
    subject.wait_for_looks()
    assert subject.terms == [1]


def test_a_piece_of_work_that_lasts_too_long_costs_the_role(service):
    """(2)"""
    subject = service(NEVER_S)
    subject.begin()
    assert subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_term()
    assert subject.terms == [1, 2]
    assert subject.threads[1] != subject.threads[2]
    assert not subject.watchdog.release(1)
    assert not subject.watchdog.watch(1, time.monotonic())
    assert subject.watchdog.term == 2


def test_whoever_has_lost_the_role_stands_by_and_gets_it_back(service):
    subject = service(NEVER_S)
    subject.begin()
    subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_term()
    subject.may_end[1].set()
    assert subject.watchdog.watch(2, time.monotonic())
    subject.wait_for_term()
    assert subject.terms == [1, 2, 3]
    assert subject.threads[3] == subject.threads[1]


def test_many_short_pieces_in_a_row_are_no_long_one(service):
    subject = service(EVER_S)
    subject.begin()
    # the first alone would be too old a moment later
    assert subject.watchdog.watch(1, time.monotonic() - EVER_S + 0.5)
    assert subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_looks()
    time_out = time.monotonic() + 0.5
    wait_until(lambda: time.monotonic() > time_out, "the first to be too old")
    assert subject.watchdog.release(1)
    assert subject.terms == [1]


def test_a_piece_that_ends_while_it_is_found_too_old_costs_nothing(service):
    """(1)"""
    subject = service(NEVER_S)
    ended: list[bool] = []
    subject.watchdog._lock = ScriptedLock(
        before_acquire=lambda: ended.append(subject.watchdog.release(1)), wanted=on_standby
    )
    subject.begin()
    assert subject.watchdog.watch(1, time.monotonic())
    wait_until(lambda: bool(ended), "the look of the other thread")
    subject.wait_for_looks()
    assert ended == [True]
    assert subject.terms == [1]


def test_a_piece_that_begins_while_the_other_falls_asleep_is_watched(service):
    """(3)"""
    subject = service(NEVER_S)
    subject.watchdog._lock = ScriptedLock(
        before_acquire=lambda: subject.watchdog.watch(1, time.monotonic()), wanted=on_standby
    )
    subject.begin()
    subject.wait_for_term()
    assert subject.terms == [1, 2]


def test_while_one_is_late_the_leader_is_not_watched(service):
    """(4)"""
    subject = service(NEVER_S)
    subject.begin()
    wait_until(lambda: subject.watchdog.watched, "the other thread to stand by")
    assert subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_term()
    assert not subject.watchdog.watched
    subject.may_end[1].set()
    wait_until(lambda: subject.watchdog.watched, "the late thread to stand by")


class Signal(threading.Event):
    """An event that runs what a test wants before it is taken back, and counts who waits for it."""

    def __init__(self, before_clear: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.before_clear = before_clear
        self.waits = 0

    def clear(self) -> None:
        self.before_clear()
        super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return super().wait(timeout)


def with_a_late_thread(subject: Service, signal: Signal) -> None:
    subject.watchdog._standing_by = signal
    subject.begin()
    wait_until(lambda: subject.watchdog.watched, "the other thread to stand by")
    assert subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_term()
    assert not subject.watchdog.watched


def test_the_leader_waits_until_the_late_one_stands_by(service, monkeypatch):
    """(5)"""
    monkeypatch.setattr(watchdog, "PATIENCE_S", WAIT_S)
    subject = service(NEVER_S)

    def let_the_late_one_return() -> None:
        subject.may_end[1].set()
        wait_until(lambda: subject.watchdog.watched, "the late thread to stand by")

    signal = Signal(let_the_late_one_return)
    with_a_late_thread(subject, signal)
    assert subject.watchdog.wait_until_watched()
    assert signal.waits == 0, "it would wait in vain"


def test_for_one_that_hangs_only_the_first_call_of_a_term_waits(service, monkeypatch):
    monkeypatch.setattr(watchdog, "PATIENCE_S", 0.0)
    subject, signal = service(NEVER_S), Signal()
    with_a_late_thread(subject, signal)
    for _ in range(3):
        assert not subject.watchdog.wait_until_watched()
    assert signal.waits == 1
    subject.may_end[1].set()
    wait_until(lambda: subject.watchdog.watched, "the late thread to stand by")
    assert subject.watchdog.wait_until_watched()


def test_the_one_that_stands_by_sleeps_until_there_is_work(service):
    subject = service(NEVER_S)
    subject.begin()
    subject.wait_for_looks()
    assert subject.watchdog.watch(1, time.monotonic())
    subject.wait_for_term()
    assert subject.terms == [1, 2]


def test_at_the_end_both_threads_leave(service):
    subject = service(EVER_S)
    subject.begin()
    subject.end()
    wait_until(
        lambda: not any(thread.name.startswith(NAME) for thread in threading.enumerate()),
        "both threads to end",
    )
    assert subject.terms == [1]
