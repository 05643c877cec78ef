"""Locks that are held, and hand-overs that make an order: each kind, and all put back in the end."""

from __future__ import annotations

import concurrent.futures
import queue
import threading

import pytest

from bridge.thread_safety.checker import ThreadSafetyChecker

from ..race_program import checked

#: As they are while nobody traces them.
RAW_LOCK, RAW_RLOCK = threading.Lock, threading.RLock

HEAD = "import threading, queue, contextlib\nfrom concurrent import futures\nx = [0]\n"
LOCKED = {
    "Lock": ("lock = threading.Lock()", "with lock:"),
    "RLock": ("lock = threading.RLock()", "with lock, lock:"),
    "Condition": ("lock = threading.Condition()", "with lock:"),
    "BoundedSemaphore": ("lock = threading.BoundedSemaphore(1)", "with lock:"),
    "Semaphore": ("lock = threading.Semaphore()", "with lock:"),
    "ExitStack": ("lock = threading.Lock()", "with contextlib.ExitStack() as stack:\n        stack.enter_context(lock)"),
    "context manager": ("lock = threading.Lock()\n@contextlib.contextmanager\ndef guard():\n    with lock:\n        yield", "with guard():"),
}  # fmt: skip
NOT_LOCKED = {
    "another Lock each time": ("", "with threading.Lock():"),
    "Semaphore of two": ("lock = threading.Semaphore(2)", "with lock:"),
    "nothing": ("", "with contextlib.nullcontext():"),
}
#: What one thread hands over after it wrote, and another waits for before it reads.
HANDED = {
    "Queue": ("q = queue.Queue()", "q.put(1)", "q.get()"),
    "SimpleQueue": ("q = queue.SimpleQueue()", "q.put(1)", "q.get()"),
    "queue joined": ("q = queue.Queue(); q.put(1)", "q.get(); q.task_done()", "q.join()"),
    "Event": ("e = threading.Event()", "e.set()", "e.wait()"),
    "Event asked": ("e = threading.Event()", "e.set()", "assert e.is_set()"),
    "Semaphore of zero": ("s = threading.Semaphore(0)", "s.release()", "s.acquire()"),
    "Future": ("f = futures.Future()", "f.set_result(1)", "f.result()"),
    "Future that failed": ("f = futures.Future()", "f.set_exception(OSError())", "f.exception()"),
    "Future done": ("f = futures.Future()", "f.set_result(1)", "assert f.done()"),
    "futures waited for": ("f = futures.Future()", "f.set_result(1)", "futures.wait([f])"),
    "futures completed": ("f = futures.Future()", "f.set_result(1)", "list(futures.as_completed([f]))"),
    "lock as a signal": ("s = threading.Lock(); s.acquire()", "s.release()", "s.acquire()"),
}  # fmt: skip


def program(name, setup, writes, reads):
    return f"{HEAD}{setup}\ndef write():\n    {writes}\ndef read():\n    {reads}\n"


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_is_known_however_it_is_taken(name, tmp_path):
    setup, enter = LOCKED[name]
    change = f"{enter}\n        x[0] += 1"
    with checked(program(name, setup, change, change), tmp_path) as run:
        run.call("write", "read")
        run.call("write", "read")
    assert run.found == []


@pytest.mark.parametrize("name", NOT_LOCKED)
def test_what_keeps_nobody_out_is_no_lock(name, tmp_path):
    setup, enter = NOT_LOCKED[name]
    change = f"{enter}\n        x[0] += 1"
    with checked(program(name, setup, change, change), tmp_path) as run:
        run.call("write", "read")
    assert run.found == ["x[0]"]


@pytest.mark.parametrize("name", HANDED)
def test_what_was_handed_over_is_no_race(name, tmp_path):
    setup, give, take = HANDED[name]
    source = program(name, setup, f"x[0] = 1; {give}", f"{take}; x[0] = 2")
    with checked(source, tmp_path) as run:
        run.call("write", "read")
    assert run.found == []


@pytest.mark.parametrize("name", HANDED)
def test_what_comes_after_the_hand_over_is(name, tmp_path):
    setup, give, take = HANDED[name]
    source = program(name, setup, f"{give}; x[0] = 1", f"{take}; x[0] = 2")
    with checked(source, tmp_path) as run:
        run.call("write", "read")
    assert run.found == ["x[0]"]


WITHIN = {
    "start and join": "t = threading.Thread(target=change); t.start(); t.join(); change()",
    "executor": "p = futures.ThreadPoolExecutor(1); p.submit(change).result(); change(); p.shutdown()",
    "shutdown": "p = futures.ThreadPoolExecutor(1); p.submit(change); p.shutdown(); change()",
    "map": "p = futures.ThreadPoolExecutor(1); list(p.map(change, [1])); change(); p.shutdown()",
    "timer": "t = threading.Timer(0, change); t.start(); t.join(); change()",
    "callback": "f = futures.Future(); t = threading.Thread(target=lambda: (change(), f.set_result(1)));"
    " f.add_done_callback(change); t.start(); t.join(); change()",
    "barrier": "b = threading.Barrier(2); t = threading.Thread(target=lambda: (change(), b.wait()));"
    " t.start(); b.wait(); change(); t.join()",
}  # fmt: skip


@pytest.mark.parametrize("name", WITHIN)
def test_threads_of_one_call_are_in_order_where_it_waits(name, tmp_path):
    source = f"{HEAD}def change(*_):\n    x[0] += 1\ndef work():\n    {WITHIN[name]}\n"
    with checked(source, tmp_path) as run:
        run.call("work")
    assert run.found == []


def test_a_join_that_does_not_wait_makes_no_order(tmp_path):
    source = (
        HEAD + "go = threading.Event()\ndef change():\n    x[0] += 1\n    go.wait()\n"
        "def work():\n    t = threading.Thread(target=change); t.start(); t.join(0); change_here()\n"
        "    go.set(); t.join()\ndef change_here():\n    while not x[0]: pass\n    x[0] += 1\n"
    )
    with checked(source, tmp_path) as run:
        run.call("work")
    assert "x[0]" in run.found


def test_conditions_on_one_lock_share_it(tmp_path):
    source = (
        HEAD + "lock = threading.Lock()\nfull, empty = threading.Condition(lock), "
        "threading.Condition(lock)\ndef a():\n    with full:\n        x[0] += 1\n"
        "        full.notify()\ndef b():\n    with empty:\n        x[0] += 1\n"
    )
    with checked(source, tmp_path) as run:
        run.call("a", "b")
    assert run.found == []


def test_a_condition_that_waits_lets_its_lock_go_and_has_it_back(tmp_path):
    source = (
        HEAD + "c = threading.Condition()\ndef one():\n    with c:\n        x[0] += 1\n"
        "        c.wait(0)\n        x[0] += 1\n    return c._lock.locked() if hasattr(c._lock, 'locked') else 0\n"
    )
    with checked(source, tmp_path) as run:
        run.call("one", "one")
    assert run.found == []


def test_a_readers_writer_lock_made_of_a_condition_keeps_writers_apart(tmp_path):
    source = (
        HEAD + "c = threading.Condition()\nreaders = 0\nwriting = False\n"
        "def read():\n    global readers\n    with c:\n        while writing:\n            c.wait()\n"
        "        readers += 1\n    x[0]\n    with c:\n        readers -= 1\n        c.notify_all()\n"
        "def write():\n    global writing\n    with c:\n        c.wait_for(lambda: not writing and not readers)\n"
        "        writing = True\n    x[0] += 1\n    with c:\n        writing = False\n        c.notify_all()\n"
    )
    with checked(source, tmp_path) as run:
        run.call("read", "write", "read", "write", "write")
    assert run.found == []


def test_a_lock_that_was_made_before_is_known_as_well(tmp_path):
    lock = threading.Lock()
    with checked(
        HEAD + "lock = None\ndef a():\n    with lock:\n        x[0] += 1\n", tmp_path
    ) as run:
        run.module.lock = lock
        run.call("a", "a")
    assert run.found == []


def test_locks_behave_as_locks(tmp_path):
    with ThreadSafetyChecker():
        lock, again = threading.Lock(), threading.RLock()
        assert lock.acquire(False)
        assert not lock.acquire(False)
        assert lock.locked()
        assert not lock.acquire(timeout=0.001)
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()
        with again, again:
            pass
        with pytest.raises(RuntimeError):
            again.release()
        assert repr(lock).startswith("<unlocked _thread.lock object at")


def test_all_is_put_back():
    holders = [
        threading, queue, concurrent.futures, threading.Thread, threading.Event,
        threading.Condition, threading.Barrier, threading.Semaphore, threading.BoundedSemaphore,
        queue.Queue, concurrent.futures.Future, concurrent.futures.ThreadPoolExecutor,
    ]  # fmt: skip
    before = [dict(vars(holder)) for holder in holders]
    with ThreadSafetyChecker():
        assert dict(vars(threading)) != before[0]
    assert [dict(vars(holder)) for holder in holders] == before


def test_traced_locks_have_what_the_program_asks_locks_for(tmp_path):
    source = """
        import threading
        lock, reentrant = threading.Lock(), threading.RLock()
        def ask():
            with lock, reentrant, reentrant:
                return lock.locked(), reentrant._is_owned()
        def attributes():
            return [hasattr(each, "locked") for each in (lock, reentrant)]
    """
    with checked(source, tmp_path) as program:
        assert program.call("ask") == [(True, True)]
        assert program.call("attributes") == [
            [hasattr(make(), "locked") for make in (RAW_LOCK, RAW_RLOCK)]
        ]
