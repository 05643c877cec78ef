"""Sleepers that wake up one after the other, and the numbered interleavings of ``wakes.py``."""

from __future__ import annotations

import threading
import time

from bridge.calls.nesting import NestedCalls
from bridge.calls.pool import Pool
from bridge.calls.wakes import Sleeper, Wakes
from tests.waiting import WAIT_S, wait_until


class Listed(Sleeper):
    """One that notes when it is woken; ``asleep``: whether it sleeps."""

    def __init__(self, woken, *, asleep=True):
        self.woken = woken
        self.asleep = asleep

    def wake(self):
        if self.asleep:
            self.woken.append(self)
        return self.asleep


def test_the_next_one_is_woken_by_the_one_before():
    wakes, woken = Wakes(), []
    first, second, third = sleepers = [Listed(woken) for _ in range(3)]
    for sleeper in sleepers:
        wakes.wake(sleeper)
    assert woken == [first]
    wakes.go_on()
    assert woken == [first, second]
    wakes.go_on()
    assert woken == [first, second, third]
    wakes.go_on()
    wakes.wake(first)
    assert woken == [first, second, third, first]


def test_a_sleeper_that_woke_up_by_itself_is_passed_over():
    """(1)"""
    wakes, woken = Wakes(), []
    first, awake, third = Listed(woken), Listed(woken, asleep=False), Listed(woken)
    for sleeper in (first, awake, third):
        wakes.wake(sleeper)
    wakes.go_on()
    assert woken == [first, third]


def nested_calls(wakes):
    return NestedCalls(Pool(1, 1), None, lambda call, error: None, wakes)


def test_a_wait_that_ends_while_it_is_woken_wakes_the_next_one():
    """(2)"""
    wakes, woken = Wakes(), []
    nested, other = nested_calls(wakes), Listed(woken)
    released = []

    class Gate:
        """Whose time is over when the thread has just been woken."""

        def acquire(self, timeout=None):
            if timeout is not None:
                nested.end_wait()
                wakes.wake(other)
                assert not woken
                return False
            assert released.pop()
            return True

        def release(self):
            released.append(True)

    nested._gate = Gate()
    assert nested.wait_until_ended(time.monotonic() + WAIT_S)
    assert not released
    assert woken == [other]


def test_threads_that_wait_are_all_woken():
    wakes = Wakes()
    all_nested = [nested_calls(wakes) for _ in range(20)]
    ended = []

    def wait(nested):
        ended.append(nested.wait_until_ended(time.monotonic() + WAIT_S))

    threads = [threading.Thread(target=wait, args=(nested,)) for nested in all_nested]
    for thread in threads:
        thread.start()
    for nested in all_nested:
        nested.end_wait()
    for thread in threads:
        thread.join(WAIT_S)
    assert ended == [True] * 20


def test_a_wake_for_nothing_is_passed_on():
    wakes, woken = Wakes(), []
    nested, other = nested_calls(wakes), Listed(woken)
    thread = threading.Thread(target=nested.wait_until_ended, args=(None,))
    thread.start()
    wait_until(lambda: nested._asleep)
    wakes.wake(nested)  # nothing has come: it sleeps again
    wakes.wake(other)
    wait_until(lambda: woken == [other])
    nested.end_wait()
    wakes.go_on()
    thread.join(WAIT_S)
    assert not thread.is_alive()
