"""Calls that are made within a call, and the numbered interleavings of ``nesting.py``."""

from __future__ import annotations

import threading

import pytest

from bridge import Context, tool
from bridge.errors import PoolFull
from bridge.running_call import Elixir
from tests.tool_bench import Bench
from tests.waiting import passed, wait_until


class Waits(Elixir):
    """An Elixir whose functions do what the test wants, on the thread that waits for them.

    ``bench``: whose calls are nested. ``script``: called with the outer call and where nested
    calls run, when the wait is about to begin; it must see to it that it ends.
    """

    def __init__(self) -> None:
        self.bench: Bench | None = None
        self.script = None

    def call_tool(self, call, name, params, timeout_s=None):
        nesting = self.bench.dispatcher.nesting
        nested = nesting.begin(call)
        try:
            self.script(call, nested)
            assert nested.wait_until_ended(None)
        finally:
            nesting.end(call, nested)


def end_when_answered(bench, nested, *keys):
    """End the wait as soon as these calls have an answer."""

    def watch():
        for key in keys:
            bench.peer.answer(key)
        nested.end_wait()

    threading.Thread(target=watch, daemon=True).start()


@tool
def outer(ctx: Context):
    ctx.call_elixir("something")
    return threading.get_ident()


@tool(serial=True)
def outer_in_turn(ctx: Context):
    ctx.call_elixir("something")


@tool
def where():
    return threading.get_ident()


@tool(serial=True)
def in_turn():
    return threading.get_ident()


@pytest.fixture
def made():
    def make(*more, **options):
        elixir = Waits()
        elixir.bench = Bench(outer, outer_in_turn, where, in_turn, *more, elixir=elixir, **options)
        return elixir, elixir.bench

    return make


def test_the_thread_that_waits_runs_what_is_made_within(made):
    elixir, bench = made(max_workers=1)
    keys = []

    def script(call, nested):
        keys.extend(bench.start(name, within=call.key) for name in ("where", "in_turn", "where"))
        end_when_answered(bench, nested, *keys)

    elixir.script = script
    thread = bench.result(bench.start("outer"))
    assert [bench.result(key) for key in keys] == [thread] * 3
    (worker,) = bench.pool.workers
    wait_until(lambda: worker.job is None)


def test_what_is_not_made_within_waits_for_a_worker(made):
    elixir, bench = made(max_workers=1)
    keys = []

    def script(call, nested):
        keys.append(bench.start("where"))
        assert not bench.peer.answers(keys[0])
        nested.end_wait()

    elixir.script = script
    bench.result(bench.start("outer"))
    assert bench.result(keys[0])


def test_a_call_that_comes_after_the_wait_is_refused(made):
    """(1)"""
    elixir, bench = made(max_workers=1)
    seen = []
    elixir.script = lambda call, nested: (seen.extend([call, nested]), nested.end_wait())
    bench.result(bench.start("outer"))
    call, nested = seen
    assert not nested.take(call)
    assert call.nested is None
    # its caller has an answer, so it is a call like any other
    assert bench.result(bench.start("where", within=call.key))


def test_what_was_not_begun_when_the_wait_ends_goes_to_the_pool(made):
    """(2)"""
    elixir, bench = made(max_workers=1)
    keys = []

    def script(call, nested):
        nested.end_wait()
        keys.append(bench.start("where", within=call.key))

    elixir.script = script
    bench.result(bench.start("outer"))
    assert bench.result(keys[0])


def test_a_call_that_found_no_worker_after_all_is_taken_back(made):
    """(3)"""
    entered, leave = threading.Event(), threading.Event()

    @tool
    def hold():
        entered.set()
        leave.wait()

    elixir, bench = made(hold, max_workers=2)
    keys = []

    def script(call, nested):
        # a worker is free while the thread does not wait yet; then it gets another job first
        submit, bench.pool.submit = bench.pool.submit, lambda job: keys.append(job)
        keys.append(bench.start("where", within=call.key))
        bench.pool.submit = submit
        job = keys.pop(0)
        bench.start("hold")
        passed(entered)
        bench.pool.submit(job)
        end_when_answered(bench, nested, *keys)

    elixir.script = script
    thread = bench.result(bench.start("outer"))
    assert bench.result(keys[0]) == thread
    leave.set()


def test_a_free_worker_runs_it_while_the_thread_that_waits_is_busy(made):
    both = threading.Barrier(2)

    @tool
    def meet():
        both.wait(20)
        return threading.get_ident()

    elixir, bench = made(meet, max_workers=2)
    keys = []

    def script(call, nested):
        keys.extend(bench.start("meet", within=call.key) for _ in range(2))
        end_when_answered(bench, nested, *keys)

    elixir.script = script
    thread = bench.result(bench.start("outer"))
    assert thread in {bench.result(key) for key in keys}


def test_a_call_that_would_wait_for_itself_is_refused(made):
    elixir, bench = made(max_workers=4)
    refused = []

    def script(call, nested):
        refused.append(bench.error(bench.start("outer_in_turn", within=call.key)))
        nested.end_wait()

    elixir.script = script
    bench.result(bench.start("outer_in_turn"))
    (error,) = refused
    assert isinstance(error, PoolFull)
    assert "it might wait for itself" in error.message


def test_one_that_is_cancelled_before_it_begins_does_not_run(made):
    ran = []

    @tool
    def note():
        ran.append(1)

    elixir, bench = made(note, max_workers=1)

    def script(call, nested):
        key = bench.start("note", within=call.key)
        assert bench.dispatcher.cancel(key)
        end_when_answered(bench, nested, bench.start("where", within=call.key))

    elixir.script = script
    bench.result(bench.start("outer"))
    assert not ran


def test_a_drain_lets_what_is_made_within_an_accepted_call_run(made):
    elixir, bench = made(max_workers=1)
    keys = []

    def script(call, nested):
        bench.dispatcher.refuse_new()
        keys.append(bench.start("where", within=call.key))
        end_when_answered(bench, nested, *keys)

    elixir.script = script
    assert bench.result(bench.start("outer")) == bench.result(keys[0])
    assert bench.error(bench.start("where")).code == "unavailable"


def test_a_wait_gives_up_in_time(made):
    elixir, bench = made(max_workers=1)
    outcome = []

    def script(call, nested):
        outcome.append(nested.wait_until_ended(0.0))
        nested.end_wait()

    elixir.script = script
    bench.result(bench.start("outer"))
    assert outcome == [False]


def test_a_wait_that_was_ended_before_it_began_does_not_wait(made):
    """(4)"""
    elixir, bench = made(max_workers=1)

    def script(call, nested):
        nested.end_wait()
        assert not nested.wake()  # nobody sleeps

    elixir.script = script
    assert bench.result(bench.start("outer"))
