"""The duty that is taken over from a thread that is held up."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.calls.inline.watchdog import LIMIT_S, Watchdog

PATIENCE_S = 10


class Service:
    """Leads under a watchdog as the test says: each term waits for its orders."""

    def __init__(self) -> None:
        self.watchdog = Watchdog(self.serve, "test-watchdog")
        self.terms: list[int] = []
        self.threads: dict[int, str] = {}
        self.arrived = threading.Semaphore(0)
        self.may_end: dict[int, threading.Event] = {n: threading.Event() for n in range(1, 9)}

    def serve(self, term: int, thread: int) -> None:
        self.terms.append(term)
        self.threads[term] = threading.current_thread().name
        self.arrived.release()
        assert self.may_end[term].wait(PATIENCE_S)

    def begin(self) -> None:
        self.watchdog.start()
        self.wait_for_term()

    def wait_for_term(self) -> None:
        assert self.arrived.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        self.watchdog.end()
        for event in self.may_end.values():
            event.set()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.end()


def test_who_has_the_duty_keeps_it_while_nothing_holds_it_up(service):
    service.begin()
    for _ in range(100):
        assert service.watchdog.watch(1, time.monotonic())
        assert service.watchdog.release(1)
    assert service.terms == [1]


def test_a_piece_of_work_that_lasts_too_long_costs_the_duty(service):
    service.begin()
    assert service.watchdog.watch(1, time.monotonic())
    service.wait_for_term()
    assert service.terms == [1, 2]
    assert service.threads[1] != service.threads[2]
    assert not service.watchdog.release(1)
    assert not service.watchdog.watch(1, time.monotonic())
    assert service.watchdog.term == 2


def test_who_has_lost_it_stands_by_and_gets_it_back(service):
    service.begin()
    service.watchdog.watch(1, time.monotonic())
    service.wait_for_term()
    service.may_end[1].set()
    assert service.watchdog.watch(2, time.monotonic())
    service.wait_for_term()
    assert service.terms == [1, 2, 3]
    assert service.threads[3] == service.threads[1]


def test_many_short_pieces_in_a_row_are_no_long_one(service):
    service.begin()
    end = time.monotonic() + 20 * LIMIT_S
    while time.monotonic() < end:
        # each begins now, however late that is
        if not service.watchdog.watch(1, time.monotonic()):
            break  # the machine held this thread up for longer than a piece may last
    else:
        assert service.watchdog.release(1)
        assert service.terms == [1]


def test_the_one_that_stands_by_sleeps_until_there_is_work(service):
    service.begin()
    end = time.monotonic() + PATIENCE_S
    while not service.watchdog._asleep:
        assert time.monotonic() < end, "it does not fall asleep"
        threading.Event().wait(LIMIT_S)
    assert service.watchdog.watch(1, time.monotonic())
    service.wait_for_term()
    assert service.terms == [1, 2]


def test_at_the_end_both_threads_leave(service):
    service.begin()
    service.end()
    end = time.monotonic() + PATIENCE_S
    while any(thread.name.startswith("test-watchdog") for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread is left behind"
        threading.Event().wait(LIMIT_S)
    assert service.terms == [1]
