"""Traced locks are what the program would have without a check."""

from __future__ import annotations

import _thread
import copy
import pickle
import subprocess
import sys
import threading
import weakref

import pytest

from bridge.thread_safety.checker import ThreadSafetyChecker
from tests.waiting import WAIT_S, in_thread, join

KINDS = ["Lock", "RLock"]
#: As they are while nobody traces them.
RAW = {"Lock": threading.Lock(), "RLock": threading.RLock()}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def lock(kind):
    with ThreadSafetyChecker(note=lambda finding: None):
        yield getattr(threading, kind)()


def test_it_is_of_the_type_that_is_asked_for(kind, lock):
    real = {"Lock": _thread.LockType, "RLock": _thread.RLock}[kind]
    assert type(lock) is not real
    assert isinstance(lock, real)
    assert isinstance(lock, type(getattr(threading, kind)()))
    assert set(dir(RAW[kind])) <= set(dir(lock))


def test_its_type_makes_another_that_is_traced(kind, lock):
    other = type(lock)()
    assert other is not lock
    with other:
        assert lock.acquire(False)
    lock.release()


def test_it_is_pickled_and_copied_as_little_as_the_real_one(lock):
    for give in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle"):
            give(lock)


def test_nothing_can_be_put_on_it_but_weak_references(lock):
    with pytest.raises(AttributeError):
        lock.note = 1
    assert weakref.ref(lock)() is lock


def test_it_is_used_in_every_way_that_a_lock_is(kind, lock):
    assert lock.acquire(timeout=1)
    lock.release()
    assert lock.acquire(False)
    lock.release()
    with pytest.raises(ValueError, match="timeout"):
        lock.acquire(False, 1)
    with pytest.raises(RuntimeError):
        lock.release()
    with lock:
        pass
    lock.acquire()
    lock._at_fork_reinit()  # a child of this process begins with it free
    assert lock.acquire(False)
    lock.release()


def test_a_lock_that_is_held_is_waited_for_and_not_taken_twice(lock):
    got = []
    with lock:
        tried = in_thread(lambda: got.append(lock.acquire(False)))
        join(tried)
        waits = in_thread(lambda: got.append(lock.acquire()))
    join(waits)
    assert got == [False, True]


def depth(lock):
    """How often a thread holds it. Python 3.11.0 to 3.11.2 cannot say that of their own."""
    if hasattr(_thread.RLock, "_recursion_count"):
        return lock._recursion_count()
    return 2 if lock._is_owned() else 0


def test_what_is_derived_from_a_reentrant_lock_is_one():
    with ThreadSafetyChecker(note=lambda finding: None):

        class Named(type(threading.RLock())):
            def __init__(self, name):
                self.name = name

        named = Named("of the table")
        with named, named:
            assert named._is_owned()
            assert depth(named) == 2
            saved = named._release_save()
            assert not named._is_owned()
            named._acquire_restore(saved)
            assert depth(named) == 2
        assert depth(named) == 0
        assert named.name == "of the table"
        condition = threading.Condition(named)
        with condition:
            assert not condition.wait(0)


def test_a_reentrant_lock_is_not_given_back_by_others(lock, kind):
    errors = []

    def give_back():
        try:
            lock.release()
        except RuntimeError as error:
            errors.append(error)

    with lock:
        if kind == "RLock":
            join(in_thread(give_back))
            assert lock._is_owned()
    assert len(errors) == (kind == "RLock")


def test_where_locks_were_made_by_a_class_they_are_so_traced():
    made_by_class = isinstance(threading.Lock, type)  # since Python 3.13
    with ThreadSafetyChecker(note=lambda finding: None):
        assert isinstance(threading.Lock, type) == made_by_class
        if made_by_class:
            assert isinstance(threading.Lock(), threading.Lock)
            assert isinstance(RAW["Lock"], threading.Lock)
        assert threading.Lock.__name__ in ("lock", "allocate_lock")


FORKS = """
import _thread, os
from bridge.thread_safety import ThreadSafetyChecker

with ThreadSafetyChecker() as checker:
    held = _thread.allocate_lock()
    held.acquire()

    def hold():
        with checker._probe.recorder.lock:
            held.release()
            _thread.allocate_lock().acquire(True, 600)

    _thread.start_new_thread(hold, ())
    held.acquire()
    child = os.fork()
    if not child:
        import threading

        with threading.Lock():
            os._exit(7)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_a_fork_finds_the_checkers_lock_free():
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], timeout=WAIT_S, check=False)
    assert run.returncode == 7
