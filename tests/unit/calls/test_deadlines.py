"""The timer thread: what is alive expires, not before its time, and what has ended does not."""

import gc
import threading
import time
import weakref

from bridge.calls.deadlines import Deadlines
from tests.waiting import WAIT_S, passed

HOUR = 3600.0


class Expired:
    """Collects what expired, and when."""

    def __init__(self):
        self.alive = set()
        self.keys = []
        self.times = {}
        self._changed = threading.Condition()
        self.deadlines = Deadlines(self.alive, self.expire)

    def expire(self, key):
        with self._changed:
            self.keys.append(key)
            self.times[key] = time.monotonic()
            self._changed.notify_all()

    def add(self, deadline, key, alive=True):
        if alive:
            self.alive.add(key)
        self.deadlines.add(deadline, key)

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.keys) >= count, WAIT_S), self.keys


def test_a_deadline_in_the_past_expires_at_once():
    expired = Expired()
    expired.add(time.monotonic() - 1, 1)
    expired.wait_for(1)
    assert expired.keys == [1]


def test_nothing_expires_before_its_time_and_the_earliest_comes_first():
    for lead in (0.02, 0.2, 2.0):
        expired, start = Expired(), time.monotonic() + lead
        deadlines = {key: start + 0.01 * order for order, key in enumerate([3, 1, 2])}
        for key in (1, 2, 3):
            expired.add(deadlines[key], key)
        if time.monotonic() < start:
            break  # all were added before the first passed
    expired.wait_for(3)
    assert expired.keys == [3, 1, 2]
    assert all(expired.times[key] >= deadlines[key] for key in deadlines)


def test_a_short_deadline_overtakes_a_long_one_that_the_thread_waits_for():
    expired = Expired()
    expired.add(time.monotonic() + HOUR, 1)
    expired.add(time.monotonic() + 0.01, 2)
    expired.wait_for(1)
    assert expired.keys == [2]


def test_what_ended_before_its_deadline_does_not_expire():
    expired = Expired()
    expired.add(time.monotonic() + 0.005, 1, alive=False)
    expired.add(time.monotonic() + 0.01, 2)
    expired.wait_for(1)
    assert expired.keys == [2]


def test_calls_that_ended_do_not_pile_up_until_their_deadlines():
    class Key:
        pass

    expired = Expired()
    kept = Key()
    expired.add(time.monotonic() + HOUR, kept)
    remembered = []
    for number in range(5000):
        key = Key()
        expired.add(time.monotonic() + HOUR + number, key, alive=False)
        remembered.append(weakref.ref(key))
    del key
    gc.collect()
    assert sum(ref() is not None for ref in remembered) < 1000


def test_clearing_what_ended_keeps_what_lives():
    expired = Expired()
    soon = time.monotonic() + 0.2
    for key in range(2000):
        expired.add(soon + HOUR * (key % 50 != 0), key, alive=key % 50 == 0)
    expired.wait_for(40)
    assert sorted(expired.keys) == list(range(0, 2000, 50))


def test_many_threads_may_add_deadlines():
    expired = Expired()
    together = threading.Barrier(4, timeout=WAIT_S)

    def add(first):
        together.wait()
        for key in range(first, first + 100):
            expired.add(time.monotonic(), key)

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    expired.wait_for(400)
    assert sorted(expired.keys) == list(range(400))


class PutDownLate(list):
    """What is put down: ``late`` is called once when the timer thread has seen that it is empty."""

    def __init__(self, late):
        super().__init__()
        self._late = late

    def __bool__(self):
        empty = not len(self)
        late = self._late
        if empty and late and threading.current_thread().name == "bridge-timer":
            self._late = None
            late()
        return not empty


def test_a_deadline_that_comes_as_the_thread_falls_asleep_is_not_overlooked():
    expired, is_put_down = Expired(), threading.Event()

    class Signalling(PutDownLate):
        def append(self, entry):
            super().append(entry)
            is_put_down.set()

    def late():
        adder.start()
        assert is_put_down.wait(WAIT_S)

    adder = threading.Thread(target=lambda: expired.add(time.monotonic() + 0.01, 2))
    expired.deadlines._new = Signalling(late)
    thread = threading.Thread(target=expired.deadlines._run, name="bridge-timer", daemon=True)
    expired.deadlines._thread = thread
    thread.start()
    expired.wait_for(1)
    adder.join(WAIT_S)
    assert expired.keys == [2]


def test_no_thread_is_started_before_the_first_deadline():
    ran, threads_before = threading.Event(), set(threading.enumerate())
    deadlines = Deadlines({1}, lambda key: ran.set())
    assert set(threading.enumerate()) <= threads_before
    deadlines.add(time.monotonic(), 1)
    passed(ran)
