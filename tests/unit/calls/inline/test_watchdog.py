"""The duty that is taken over from a thread that is held up."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.calls.inline.watchdog import LIMIT_S, Relay

PATIENCE_S = 10


class Service:
    """Serves a relay as the test says: each turn waits for its orders."""

    def __init__(self) -> None:
        self.relay = Relay(self.serve, "test-relay")
        self.turns: list[int] = []
        self.threads: dict[int, str] = {}
        self.arrived = threading.Semaphore(0)
        self.may_end: dict[int, threading.Event] = {n: threading.Event() for n in range(1, 9)}

    def serve(self, turn: int) -> None:
        self.turns.append(turn)
        self.threads[turn] = threading.current_thread().name
        self.arrived.release()
        assert self.may_end[turn].wait(PATIENCE_S)

    def begin(self) -> None:
        self.relay.start()
        self.wait_for_turn()

    def wait_for_turn(self) -> None:
        assert self.arrived.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        self.relay.end()
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
        assert service.relay.working(1, time.monotonic())
        assert service.relay.done(1)
    assert service.turns == [1]


def test_a_piece_of_work_that_lasts_too_long_costs_the_duty(service):
    service.begin()
    assert service.relay.working(1, time.monotonic())
    service.wait_for_turn()
    assert service.turns == [1, 2]
    assert service.threads[1] != service.threads[2]
    assert not service.relay.done(1)
    assert not service.relay.working(1, time.monotonic())
    assert service.relay.turn == 2


def test_who_has_lost_it_stands_by_and_gets_it_back(service):
    service.begin()
    service.relay.working(1, time.monotonic())
    service.wait_for_turn()
    service.may_end[1].set()
    assert service.relay.working(2, time.monotonic())
    service.wait_for_turn()
    assert service.turns == [1, 2, 3]
    assert service.threads[3] == service.threads[1]


def test_many_short_pieces_in_a_row_are_no_long_one(service):
    service.begin()
    end = time.monotonic() + 20 * LIMIT_S
    while time.monotonic() < end:
        # each begins now, however late that is
        if not service.relay.working(1, time.monotonic()):
            break  # the machine held this thread up for longer than a piece may last
    else:
        assert service.relay.done(1)
        assert service.turns == [1]


def test_the_one_that_stands_by_sleeps_until_there_is_work(service):
    service.begin()
    end = time.monotonic() + PATIENCE_S
    while not service.relay._asleep:
        assert time.monotonic() < end, "it does not fall asleep"
        threading.Event().wait(LIMIT_S)
    assert service.relay.working(1, time.monotonic())
    service.wait_for_turn()
    assert service.turns == [1, 2]


def test_at_the_end_both_threads_leave(service):
    service.begin()
    service.end()
    end = time.monotonic() + PATIENCE_S
    while any(thread.name.startswith("test-relay") for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread is left behind"
        threading.Event().wait(LIMIT_S)
    assert service.turns == [1]
