"""The duty that is taken over from a thread that is held up."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.calls.inline.watchdog import LIMIT_S, Watchdog
from tests.waiting import WAIT_S, join, passed, wait_until


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
        passed(self.may_end[term])

    def begin(self) -> None:
        self.watchdog.start()
        self.wait_for_term()

    def wait_for_term(self) -> None:
        assert self.arrived.acquire(timeout=WAIT_S)

    def end(self) -> None:
        self.watchdog.end()
        for event in self.may_end.values():
            event.set()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.end()


def work(service: Service, *, release: bool) -> bool:
    """Do short pieces of work, all in all much longer than one may last, and see that none is lost.

    ``release``: the watch ends between them. False: the machine has held a piece up for too long.
    """
    since = now = time.monotonic()
    end = now + 20 * LIMIT_S
    while True:
        kept = service.watchdog.watch(1, now)
        last = time.monotonic() >= end
        if kept and (release or last):
            since = now
            kept = service.watchdog.release(1)
        if not kept:
            assert time.monotonic() - since >= LIMIT_S, "a short piece has cost the duty"
            return False
        if last:
            return True
        since, now = now, time.monotonic()


@pytest.mark.parametrize("release", [True, False], ids=["one by one", "in a row"])
def test_who_has_the_duty_keeps_it_while_nothing_holds_it_up(release):
    for _ in range(20):
        service = Service()
        service.begin()
        kept, terms = work(service, release=release), service.terms
        service.end()
        if kept:
            assert terms == [1]
            return  # otherwise the machine was too busy


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


def test_the_one_that_stands_by_sleeps_until_there_is_work(service):
    service.begin()
    wait_until(lambda: service.watchdog._asleep, "it to fall asleep")
    assert service.watchdog.watch(1, time.monotonic())
    service.wait_for_term()
    assert service.terms == [1, 2]


def test_at_the_end_both_threads_leave(service):
    service.begin()
    service.end()
    threads = [t for t in threading.enumerate() if t.name.startswith("test-watchdog")]
    join(*threads)
    assert service.terms == [1]
