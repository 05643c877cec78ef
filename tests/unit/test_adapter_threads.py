"""What ``ThreadSafeAdapter`` brings along: a lock, values for each thread, counts of requests."""

import asyncio
import threading

import pytest

from bridge import RequestTracker, ThreadLocalStorage, ThreadSafeAdapter, thread_safe_method, tool
from bridge.adapter import bind_tools
from tests.waiting import WAIT_S, in_thread, join, passed


class Forgetful(ThreadSafeAdapter):
    def __init__(self, value, *, other=None):
        self.value = (value, other)  # no super().__init__()


def test_a_thread_safe_adapter_needs_no_call_of_its_constructor():
    adapter = Forgetful(1, other=2)
    with adapter.acquire_lock():
        adapter.set_thread_local("k", adapter.value)
    assert adapter.get_thread_local("k") == (1, 2)
    assert adapter.get_stats()["total_requests"] == 0


def test_the_lock_is_reentrant_and_one_for_all():
    adapter, other = ThreadSafeAdapter(), ThreadSafeAdapter()
    taken = []

    def try_both():
        taken.append(adapter.acquire_lock().acquire(blocking=False))
        with other.acquire_lock():
            taken.append("the other adapter's lock is another")

    with adapter.acquire_lock(), adapter.acquire_lock():
        join(in_thread(try_both))
    assert taken == [False, "the other adapter's lock is another"]


def test_thread_local_values_belong_to_a_thread_and_an_adapter():
    adapter, other = ThreadSafeAdapter(), ThreadSafeAdapter()
    both_set = threading.Barrier(2, timeout=WAIT_S)
    seen = {}

    def work(name):
        assert adapter.get_thread_local("k", "nothing") == "nothing"
        adapter.set_thread_local("k", name)
        both_set.wait()
        seen[name] = (adapter.get_thread_local("k"), other.get_thread_local("k"))

    join(in_thread(work, "a"), in_thread(work, "b"))
    assert seen == {"a": ("a", None), "b": ("b", None)}


def test_thread_local_values_can_be_forgotten_one_by_one_and_all_at_once():
    adapter = ThreadSafeAdapter()
    for key in "abc":
        adapter.set_thread_local(key, 1)
    adapter.clear_thread_local("a")
    adapter.clear_thread_local("never set")
    assert [adapter.get_thread_local(key) for key in "abc"] == [None, 1, 1]
    adapter.clear_thread_local()
    assert [adapter.get_thread_local(key) for key in "abc"] == [None, None, None]


def test_thread_local_storage_keeps_none_apart_from_nothing():
    storage = ThreadLocalStorage()
    storage.set("k", None)
    assert storage.get("k", "default") is None
    storage.delete("k")
    assert storage.get("k", "default") == "default"


def test_the_tracker_counts_every_request_of_every_thread():
    tracker, workers, rounds = RequestTracker(), 8, 200
    all_inside = threading.Barrier(workers + 1, timeout=WAIT_S)
    looked = threading.Barrier(workers + 1, timeout=WAIT_S)

    def work():
        for _ in range(rounds):
            tracker.start_request("spin")
            tracker.end_request()
        tracker.start_request("hold")
        all_inside.wait()
        looked.wait()
        tracker.end_request()

    threads = [in_thread(work) for _ in range(workers)]
    all_inside.wait()
    inside = tracker.get_stats()
    looked.wait()
    join(*threads)
    after = tracker.get_stats()
    assert (inside["active_requests"], after["active_requests"]) == (workers, 0)
    assert after["total_requests"] == workers * (rounds + 1)
    assert after["requests_by_method"] == {"spin": workers * rounds, "hold": workers}
    assert set(after["requests_by_thread"].values()) == {rounds + 1}
    assert after["threads_used"] == workers


def test_a_request_may_end_on_another_thread_than_it_began():
    tracker = RequestTracker()
    began = tracker.start_request("f")
    join(in_thread(tracker.end_request, began))
    assert tracker.get_stats()["active_requests"] == 0


class Tracked(ThreadSafeAdapter):
    @property
    def active(self):
        return self.get_stats()["active_requests"]

    @tool
    @thread_safe_method
    def plain(self, a, *, b=2):
        """Documented."""
        return self.active, a, b

    @thread_safe_method
    def fails(self):
        raise ValueError("as expected")

    @thread_safe_method
    def generator(self, a):
        yield self.active
        return a

    @thread_safe_method
    async def coroutine(self, a):
        return self.active, a

    @thread_safe_method
    async def async_generator(self, a):
        yield self.active
        yield a


def test_a_tracked_method_is_active_while_it_runs_and_stays_what_it_was():
    adapter = Tracked()
    assert adapter.plain(1, b=3) == (1, 1, 3)
    subject = bind_tools(adapter)["plain"]
    assert (subject.signature, subject.description) == ("plain(a, *, b=2)", "Documented.")
    with pytest.raises(ValueError, match="as expected"):
        adapter.fails()
    stats = adapter.get_stats()
    assert (stats["adapter"], stats["active_requests"]) == ("Tracked", 0)
    assert stats["requests_by_method"] == {"plain": 1, "fails": 1}


def test_a_tracked_generator_is_active_until_it_ends_or_is_closed():
    adapter = Tracked()
    items = adapter.generator("returned")
    assert adapter.active == 0, "nothing runs before the first item"
    assert next(items) == 1
    with pytest.raises(StopIteration) as end:
        next(items)
    assert end.value.value == "returned"
    items = adapter.generator("never returned")
    next(items)
    items.close()
    assert adapter.active == 0


def test_a_tracked_coroutine_and_async_generator_are_active_until_they_end():
    adapter = Tracked()

    async def collect():
        return [item async for item in adapter.async_generator("last")]

    assert asyncio.run(adapter.coroutine("a")) == (1, "a")
    assert asyncio.run(collect()) == [1, "last"]
    assert adapter.active == 0


def test_a_tracked_method_counts_the_threads_that_are_inside_together():
    inside, leave = threading.Barrier(3, timeout=WAIT_S), threading.Event()

    class Slow(ThreadSafeAdapter):
        @thread_safe_method
        def slow(self):
            inside.wait()
            passed(leave)

    adapter = Slow()
    threads = [in_thread(adapter.slow), in_thread(adapter.slow)]
    inside.wait()
    assert adapter.get_stats()["active_requests"] == 2
    leave.set()
    join(*threads)
    assert adapter.get_stats()["requests_by_method"] == {"slow": 2}
