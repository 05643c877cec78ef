"""A quick call that others have to know about after all: who answers, and what stays behind."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from bridge import tool
from bridge.calls.inline.runner import InlineRunner
from bridge.errors import CallError
from bridge.wire.messages import Request
from tests.tool_bench import Bench
from tests.waiting import in_thread, join, passed, wait_until


class Calm:
    """A watchdog that never takes over."""

    term = 1

    def watch(self, term: int, now: float) -> bool:
        return True


@pytest.fixture
def gates():
    return {"begun": threading.Event(), "go": threading.Event()}


@pytest.fixture
def bench(gates):
    @tool
    def waits(n):
        gates["begun"].set()
        passed(gates["go"])
        return n

    return Bench(waits)


def begin(bench, msgid=1):
    """Run one call on a thread of its own, as far as its tool waits."""
    dispatcher = bench.dispatcher
    quick = InlineRunner(dispatcher, bench.peer, "test-reader")
    batch = deque([(Request(msgid, "waits", [msgid]), dispatcher.tools["waits"])])
    thread = threading.Thread(target=quick.run, args=(batch, Calm(), 1))
    thread.start()
    return quick, thread


def test_it_is_no_call_for_others_until_somebody_takes_over(bench, gates):
    quick, thread = begin(bench)
    passed(gates["begun"])
    assert bench.dispatcher.calls == {}
    assert not bench.dispatcher.cancel(1)
    quick.share()
    assert list(bench.dispatcher.calls) == [1]
    gates["go"].set()
    join(thread)
    assert bench.peer.answers(1) == [1]
    assert bench.dispatcher.calls == {}


def test_once_it_is_cancelled_its_id_may_be_used_again(bench, gates):
    quick, thread = begin(bench)
    passed(gates["begun"])
    quick.share()
    assert bench.dispatcher.cancel(1)
    call = bench.dispatcher.admit(Request(1, "waits", [7]), bench.peer, time.monotonic())
    gates["go"].set()
    join(thread)
    # the late thread has answered nothing, and left the new call alone
    assert bench.dispatcher.calls == {1: call}
    (answer,) = bench.peer.answers(1)
    assert isinstance(answer, CallError)
    assert answer.code == "cancelled"


def test_a_log_record_belongs_to_the_call_that_runs_as_long_as_it_has_no_answer(bench, gates):
    dispatcher, origins = bench.dispatcher, []
    waits = dispatcher.tools["waits"]
    quick = InlineRunner(dispatcher, bench.peer, "test-reader")

    class Text:
        """What runs while the answer is encoded."""

        def __init__(self):
            origins.append(quick.log_origin())

    record, bench.peer.record = bench.peer.record, lambda *event: Text() and record(*event)
    gates["begun"].set = lambda: origins.append(quick.log_origin())
    gates["go"].set()
    quick.run(
        deque([(Request(5, "waits", [1]), waits), (Request(6, "waits", [1]), waits)]), Calm(), 1
    )
    assert origins == [(bench.peer, 5, "waits"), None, (bench.peer, 6, "waits"), None]


def test_a_log_record_of_a_shared_call_is_of_that_call_and_of_no_other_thread(bench, gates):
    quick, thread = begin(bench)
    passed(gates["begun"])
    assert quick.log_origin() is None  # this thread runs nothing there
    quick.share()
    (call,) = bench.dispatcher.calls.values()
    assert call.log_origin() == (bench.peer, 1, "waits")
    assert bench.dispatcher.cancel(1)
    assert call.log_origin() == (bench.peer, None, "waits")
    gates["go"].set()
    join(thread)


class SlowRequest:
    """A request whose options take their time: a call is made of it meanwhile."""

    msgid, method, params = 1, "waits", [1]

    def __init__(self):
        self.asked, self.may_go_on = threading.Event(), threading.Event()

    @property
    def options(self):
        self.asked.set()
        passed(self.may_go_on)


def begin_to_share(bench, gates):
    """Run a call whose tool waits, and have another thread take it out, as far as making a call."""
    request = SlowRequest()
    runner = InlineRunner(bench.dispatcher, bench.peer, "test-reader")
    batch = deque([(request, bench.dispatcher.tools["waits"])])
    thread = in_thread(runner.run, batch, Calm(), 1)
    passed(gates["begun"])
    sharing = in_thread(runner.share)
    passed(request.asked)
    return request, runner, thread, sharing


def test_a_tool_that_returns_while_it_is_shared_is_answered_once(bench, gates):
    """(2) The other thread has taken it out, and makes the call just now."""
    request, runner, thread, sharing = begin_to_share(bench, gates)
    lock, waits = runner._sharing, threading.Event()
    runner._sharing = Noticed(lock, waits)
    gates["go"].set()
    wait_until(lambda: waits.is_set() or not thread.is_alive(), "the runner to wait, or to end")
    request.may_go_on.set()
    join(sharing, thread)
    assert bench.peer.answers(1) == [1]
    assert bench.dispatcher.calls == {}


def test_a_tool_that_forks_while_it_is_shared_leaves_the_child(bench, gates):
    """(5) In the child, the other thread never comes to the end of making the call."""
    request, runner, thread, sharing = begin_to_share(bench, gates)
    left = []
    bench.dispatcher.forked(lambda: left.append("the child"))
    runner.forked()
    gates["go"].set()
    join(thread)
    assert left == ["the child"]
    assert bench.peer.answers(1) == []
    request.may_go_on.set()
    join(sharing)


class Noticed:
    """A lock that tells when somebody comes for it."""

    def __init__(self, lock, noticed):
        self._lock, self._noticed = lock, noticed

    def __enter__(self):
        self._noticed.set()
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


def test_a_batch_that_is_taken_away_ends_the_run(bench):
    """(4) Between the look whether there is something in it and the taking."""

    class TakenAway(deque):
        def __bool__(self):
            return True

    runner = InlineRunner(bench.dispatcher, bench.peer, "test-reader")
    assert runner.run(TakenAway(), Calm(), 1)
    assert bench.peer.events == []
