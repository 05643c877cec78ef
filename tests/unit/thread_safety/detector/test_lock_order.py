"""The order of locks: who may wait for whom, and who does."""

from __future__ import annotations

import pytest

from bridge.thread_safety.detector import Detector


class Scene:
    """A detector that knows of locks. Each thread is one call, unless a test says otherwise."""

    def __init__(self):
        self.found = []
        self.detector = Detector(self.found.append)

    def take(self, thread, *locks, call=None, waited=True):
        for lock in locks:
            stack = ((f"{lock}.py", 1, "tool"),)
            self.detector.locks.taken(thread, lock, stack, call or f"call of {thread}", waited)
            self.detector.order.acquire(thread, lock)

    def give(self, thread, *locks):
        for lock in locks:
            self.detector.order.release(thread, lock)
            self.detector.locks.given(lock)

    def both(self, thread, *locks, **more):
        self.take(thread, *locks, **more)
        self.give(thread, *reversed(locks))

    def wait(self, thread, lock):
        stack = ((f"{lock}.py", 2, "tool"),)
        self.detector.locks.wait_for(thread, lock, stack, f"call of {thread}")

    @property
    def grades(self):
        return [(finding.evidence, finding.variable) for finding in self.found]


@pytest.fixture
def scene():
    return Scene()


def test_both_orders_are_reported_once_with_both_places(scene):
    for _ in range(3):
        scene.both("A", "x", "y")
        scene.both("B", "y", "x")
    (finding,) = scene.found
    assert (finding.evidence, finding.variable) == ("order", "x and y")
    words = {finding.first.did, finding.second.did}
    assert words == {"takes y, holding x", "takes x, holding y"}
    assert {finding.first.stack[0][0], finding.second.stack[0][0]} == {"x.py", "y.py"}


def test_a_circle_of_three_is_reported(scene):
    scene.both("A", "x", "y")
    scene.both("B", "y", "z")
    assert scene.found == []
    scene.both("C", "z", "x")
    assert scene.grades == [("order", "x and y and z")]


def test_one_order_is_right(scene):
    for thread in "ABC":
        scene.both(thread, "x", "y", "z")
        scene.both(thread, "x", "z")
    assert scene.found == []


def test_another_lock_around_both_keeps_them_apart(scene):
    scene.both("A", "gate", "x", "y")
    scene.both("B", "gate", "y", "x")
    assert scene.found == []


def test_what_is_only_tried_never_waits(scene):
    scene.both("A", "x", "y")
    scene.take("B", "y")
    scene.both("B", "x", waited=False)
    assert scene.found == []


def test_what_was_handed_over_comes_later(scene):
    scene.both("A", "x", "y")
    scene.detector.order.receive("B", scene.detector.order.send("A"))
    scene.both("B", "y", "x")
    assert scene.found == []


def test_one_call_does_not_wait_for_itself_but_two_on_one_thread_may_be_on_two(scene):
    scene.both("A", "x", "y")
    scene.both("A", "y", "x")
    assert scene.found == []
    scene.both("A", "y", "x", call="another")
    assert scene.grades == [("order", "x and y")]


def test_who_waits_for_whom_is_told(scene):
    scene.take("A", "x")
    scene.take("B", "y")
    scene.wait("A", "y")
    assert scene.detector.locks.deadlock("A") is None
    scene.wait("B", "x")
    finding = scene.detector.locks.deadlock("B")
    assert (finding.evidence, finding.variable) == ("observed", "x and y")
    scene.detector.locks.wait_no_more("A")
    assert scene.detector.locks.deadlock("B") is None


def test_a_call_that_waits_for_its_own_lock_is_told_but_not_of_a_signal(scene):
    scene.take("A", "x")
    scene.wait("A", "x")
    assert "holds itself" in scene.detector.locks.deadlock("A").problem
    scene.take("B", "y", call="earlier")  # another thread may give it back
    scene.wait("B", "y")
    assert scene.detector.locks.deadlock("B") is None


def test_without_listening_only_waiting_is_looked_at(scene):
    scene.detector.locks.enabled = False
    scene.both("A", "x", "y")
    scene.both("B", "y", "x")
    assert scene.found == []
