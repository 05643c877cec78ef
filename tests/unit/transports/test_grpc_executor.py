"""The interleavings that ``executor.py`` numbers, each forced; and what its threads do beside."""

import sys
import threading
import time
from collections import deque
from types import SimpleNamespace

import pytest

pytest.importorskip("grpc")

import grpc
from grpc import _server

from bridge import Context, tool
from bridge.errors import CallError, Cancelled, DeadlineExceeded, PoolFull, ShuttingDown
from bridge.transports.grpc import exchange, executor, streams
from bridge.transports.grpc import reception as receiving
from bridge.transports.grpc.awaited import Awaited
from bridge.transports.grpc.behavior import Place
from bridge.transports.grpc.rpc import PerThread, Rpc
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until

from .grpc_requests import GrpcBench, Hold, ScriptedLock, ScriptedReception, nothing

RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@tool
def echo(value):
    return value


@tool
def thread():
    return threading.current_thread().name


@pytest.fixture
def hold():
    hold = Hold()
    yield hold
    hold.leave.set()


@pytest.fixture
def complaints(monkeypatch):
    """What was reported as a fault of the bridge."""
    found = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: found.append(error))
    return found


def refused(visit):
    """Whether the request was refused before its tool began."""
    error = visit.outcome
    return isinstance(error, CallError) and error.started is False


def fail(*_):
    raise RuntimeError("can't start new thread")


# -- what it is for -----------------------------------------------------------------------------


def test_a_request_is_handled_by_a_worker_and_its_tool_runs_there():
    bench = GrpcBench(thread)
    visit = bench.visit("thread")
    assert visit.outcome.decode() == visit.thread.name == bench.pool.workers[0].name


def test_a_waiting_request_occupies_no_worker(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    second = bench.visit("echo", 2)
    assert bench.dispatcher.health()["queued"] == 1
    assert not second.waits.is_set()
    hold.leave.set()
    assert second.outcome == b"2"


def test_a_full_pool_refuses_without_a_worker(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    bench.pool.max_queue = 0
    visit = bench.visit("echo", 1)
    assert isinstance(visit.outcome, PoolFull)
    assert refused(visit)
    assert visit.thread.name.startswith("bridge-grpc-control")


def test_a_drain_refuses_new_requests_and_serves_those_that_wait(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    waiting = bench.visit("echo", 1)
    bench.dispatcher.refuse_new()
    new = bench.visit("echo", 2)
    assert isinstance(new.outcome, ShuttingDown)
    assert refused(new)
    hold.leave.set()
    assert waiting.outcome == b"1"


def test_a_behavior_aside_cannot_call_tools():
    bench = GrpcBench(echo)
    with pytest.raises(RuntimeError, match="aside"):
        bench.prepare("echo", 1).handle()


@pytest.mark.parametrize("failing", ["queue", "control"])
def test_submit_never_raises(complaints, failing):
    bench = GrpcBench(echo)
    if failing == "queue":
        bench.pool.before_submit = fail
    else:
        bench.dispatcher.refuse_new()
        bench.executor.control.shutdown()
    assert bench.visit("echo", 1).rpc is not None
    assert [type(error) for error in complaints] == [RuntimeError]


# -- 1: the message comes as its worker gives up ------------------------------------------------


class Hooked(Awaited):
    """Requests that wait, with a step of the test's before and after one is added or is overdue."""

    def __init__(self, limit=256, **steps):
        super().__init__(limit, 60.0)
        self.steps = steps

    def _step(self, name):
        self.steps.pop(name, nothing)()

    def add(self, rpc):
        self._step("before_add")
        gone = super().add(rpc)
        self._step("after_add")
        return gone

    def take_overdue(self, now):
        found = super().take_overdue(now)
        self._step("after_take_overdue")
        return found


@pytest.fixture
def receiving_workers(monkeypatch):
    """So many messages are on their way that workers receive them."""
    monkeypatch.setattr(executor, "_AHEAD", 0)


@pytest.fixture
def impatient(monkeypatch, receiving_workers):
    """And do not wait for them."""
    monkeypatch.setattr(executor, "_PATIENCE_S", 0.0)


@pytest.mark.parametrize("step", ["before_add", "after_add"])
def test_a_message_that_comes_as_its_worker_gives_up_is_handled_once(impatient, step):
    bench, late = GrpcBench(echo), ScriptedReception()
    bench.executor._calls = Hooked(**{step: lambda: late.come()})
    visit = bench.visit_late(late, "echo", 1)
    assert visit.outcome == b"1"
    assert visit.came_with == b"the message"
    bench.settle()
    assert visit.handled == 1
    assert len(bench.executor._calls) == 0


def test_a_message_that_comes_soon_is_waited_for(monkeypatch, receiving_workers):
    monkeypatch.setattr(executor, "_PATIENCE_S", WAIT_S)
    bench, late = GrpcBench(thread), ScriptedReception()
    visit = bench.visit_late(late, "thread")
    passed(late.begun)
    late.come()
    assert visit.outcome.decode() == visit.thread.name == bench.pool.workers[0].name
    assert len(bench.executor._calls) == 0


def test_a_request_without_a_message_occupies_no_worker(impatient):
    bench, late = GrpcBench(echo), ScriptedReception()
    visit = bench.visit_late(late, "echo", 1)
    wait_until(lambda: len(bench.executor._calls) == 1)
    assert bench.visit("echo", 2).outcome == b"2"
    assert visit.handled == 0
    late.come()
    assert visit.outcome == b"1"
    assert len(bench.pool.workers) == 1


def test_a_few_that_send_nothing_are_enough_to_wait_no_longer(monkeypatch, impatient):
    bench = GrpcBench(echo)
    for _ in range(executor._FEW):
        bench.visit_late(ScriptedReception(), "echo", 1)
    wait_until(lambda: len(bench.executor._calls) == executor._FEW)
    monkeypatch.setattr(executor, "_PATIENCE_S", 100 * WAIT_S)
    bench.visit_late(ScriptedReception(), "echo", 1)
    assert bench.visit("echo", 2).outcome == b"2"


# -- messages that come before a worker is there --------------------------------------------------


def test_a_call_comes_to_a_worker_when_its_message_is_here():
    bench, late = GrpcBench(thread), ScriptedReception()
    visit = bench.visit_late(late, "thread")
    assert late.begun.is_set()
    assert bench.pool.workers == []
    late.come()
    assert visit.outcome.decode() == visit.thread.name == bench.pool.workers[0].name
    assert visit.came_with == b"the message"
    assert len(bench.executor._calls) == 0


def test_a_request_that_is_over_before_its_message_needs_no_worker():
    bench, late = GrpcBench(echo), ScriptedReception()
    late.is_over = True
    visit = bench.visit_late(late, "echo", 1)
    told = []
    visit.rpc.add_done_callback(told.append)
    assert told == [visit.rpc]
    assert len(bench.executor._calls) == bench.pool.queued == visit.handled == 0


def test_at_the_end_a_call_whose_message_is_on_its_way_is_refused_once():
    bench, late = GrpcBench(echo), ScriptedReception()

    def end():
        assert bench.executor.stop() == []  # before it waits: nobody sees it there
        late.come()

    bench.executor._calls = Hooked(before_add=end)
    visit = bench.visit_late(late, "echo", 1)
    assert isinstance(visit.outcome, ShuttingDown)
    late.come()
    bench.settle()
    assert visit.handled == 1


def test_while_many_bytes_wait_for_a_worker_no_more_are_received(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    large = [ScriptedReception() for _ in range(3)]
    for reception in large:
        reception.size_bytes = executor._AHEAD_BYTES // 2
    visits = []
    for number, reception in enumerate(large):
        visits.append(bench.visit_late(reception, "echo", number))
        if reception.begun.is_set():
            reception.come()
    assert [each.begun.is_set() for each in large] == [True, True, False]
    hold.leave.set()
    passed(large[2].begun)  # by a worker
    large[2].come()
    assert [visit.outcome for visit in visits] == [b"0", b"1", b"2"]
    assert bench.executor._waiting.size_bytes == 0


@pytest.mark.parametrize("way", ["queue full", "end"])
def test_what_is_refused_does_not_wait_any_more(hold, way):
    bench, late = GrpcBench(hold.tool, echo), ScriptedReception()
    late.size_bytes = 1 << 20
    bench.visit("hold", "a")
    passed(hold.began)
    if way == "queue full":
        bench.pool.max_queue = 0
    visit = bench.visit_late(late, "echo", 1)
    late.come()
    if way == "end":
        assert bench.executor._waiting.size_bytes == 1 << 20
        bench.executor.stop()
    assert refused(visit)
    assert bench.executor._waiting.size_bytes == 0


# -- 2: the message comes as its request is refused ----------------------------------------------


@pytest.mark.parametrize("reason", ["too late", "one too many"])
def test_a_message_that_comes_as_its_request_is_refused_is_not_handled_too(impatient, reason):
    bench, late = GrpcBench(echo), ScriptedReception()
    calls = bench.executor._calls = Hooked(limit=1)
    visit = bench.visit_late(late, "echo", 1)
    wait_until(lambda: len(calls) == 1)
    queued = []
    bench.pool.before_submit = queued.append
    if reason == "too late":
        calls.steps["after_take_overdue"] = lambda: late.come()
        bench.executor.look(time.monotonic() + 61)
        assert isinstance(visit.outcome, DeadlineExceeded)
    else:
        calls.steps["after_add"] = lambda: late.come()
        bench.visit_late(ScriptedReception(), "echo", 2)
        assert visit.outcome.code == "resource_exhausted"
    assert refused(visit)
    assert visit.rpc not in queued
    bench.settle()
    assert visit.handled == 1


def test_of_too_many_the_connection_that_has_most_loses_its_oldest(impatient):
    bench = GrpcBench(echo)
    calls = bench.executor._calls = Awaited(3, 60.0)
    visits = []
    for number, peer in enumerate(["steady", "greedy", "greedy", "other"], 1):
        visits.append(bench.visit_late(ScriptedReception(peer), "echo", number))
        wait_until(lambda n=number: len(calls) == min(n, 3) and not bench.pool.queued)
    assert refused(visits[1])
    assert [visit.handled for visit in visits] == [0, 1, 0, 0]


def test_at_the_end_what_has_no_message_is_refused(impatient):
    bench = GrpcBench(echo)
    visit = bench.visit_late(ScriptedReception(), "echo", 1)
    wait_until(lambda: len(bench.executor._calls) == 1)
    for future in bench.executor.stop():
        future.result(WAIT_S)
    assert isinstance(visit.outcome, ShuttingDown)


# -- what is answered elsewhere -------------------------------------------------------------------


def test_what_is_answered_aside_waits_for_its_message_without_a_thread():
    bench, handled = GrpcBench(echo), []
    greedy = [ScriptedReception("greedy", Place.ASIDE) for _ in range(400)]
    other, late = (ScriptedReception("other", Place.ASIDE) for _ in range(2))

    def handle(message):
        handled.append((message(), threading.current_thread().name))

    for reception in (other, *greedy, late):
        bench.executor.submit(handle, reception)
    other.come()
    wait_until(lambda: handled)
    message, name = handled.pop()
    assert message == b"the message"
    assert name.startswith("bridge-grpc-control")
    assert {each.status.code for each in greedy if each.status} == {RESOURCE_EXHAUSTED}
    assert sum(each.status is None for each in greedy) == executor._MAX_ASIDE - 2
    bench.executor.look(time.monotonic() + 11)
    assert late.status.code is grpc.StatusCode.DEADLINE_EXCEEDED
    late.come()
    bench.executor.control.shutdown()
    assert handled == []


def test_callers_without_a_token_take_no_room_from_others():
    bench = GrpcBench(echo)
    caller = ScriptedReception("a", Place.ASIDE)
    bench.executor.submit(nothing, caller)
    strangers = [ScriptedReception("a", Place.OPEN) for _ in range(300)]
    for reception in strangers:
        bench.executor.submit(nothing, reception)
    assert caller.status is None
    assert sum(each.status is None for each in strangers) == executor._MAX_OPEN


def test_a_refusal_needs_no_thread_and_no_message():
    bench, threads = GrpcBench(echo), []
    reception = ScriptedReception(place=Place.AT_ONCE)
    bench.executor.submit(lambda message: threads.append(threading.current_thread()), reception)
    assert threads == [threading.current_thread()]
    assert not reception.begun.is_set()


@pytest.mark.parametrize(("place", "ends"), [(Place.STREAM, True), (Place.LASTING, False)])
def test_streams_are_bounded_in_number_and_time_unless_they_may_last(place, ends):
    bench, over = GrpcBench(echo), threading.Event()
    receptions = [ScriptedReception(place=place) for _ in range(streams._MAX_STREAMS + 1)]
    for reception in receptions:
        bench.executor.submit(lambda message: passed(over), reception)
    assert [each.status is None for each in receptions] == [True] * streams._MAX_STREAMS + [False]
    bench.executor.look(time.monotonic() + 61)
    assert [each.cancelled for each in receptions] == [ends] * streams._MAX_STREAMS + [False]
    over.set()
    bench.executor.close()


# -- 3: gRPC says whom to tell while the request is handled ---------------------------------------


@pytest.mark.parametrize("when", ["before", "while it is added", "after", "when it was settled"])
def test_gRPC_is_told_once_whoever_is_first(when):
    bench, told = GrpcBench(echo), []
    visit = bench.visit("echo", 1, message=False)
    passed(visit.waits)

    def finish():
        visit.message.set()
        passed(visit.done)
        bench.settle()

    def settle():
        bench.executor.look(time.monotonic())

    class Between(deque):
        def append(self, callback):
            finish()
            settle()
            super().append(callback)

    if when == "before":
        visit.rpc.add_done_callback(told.append)
        finish()
        assert told == []  # the serving thread has other things to do than to wait for workers
    elif when == "while it is added":
        visit.rpc._callbacks = Between()
        visit.rpc.add_done_callback(told.append)
    else:
        finish()
        if when == "when it was settled":
            settle()
        visit.rpc.add_done_callback(told.append)
        assert told == [visit.rpc]
    settle()
    settle()
    assert told == [visit.rpc]


def test_gRPC_is_told_if_it_says_so_as_the_request_is_being_settled():
    told = []

    def settle(rpc):
        rpc.run_callbacks()
        rpc.add_done_callback(told.append)

    rpc = Rpc(1, nothing, (), PerThread(), settle)
    rpc.handle()
    assert told == [rpc]


def test_two_that_settle_tell_each_once():
    told = []
    rpc = Rpc(1, nothing, (), PerThread(), nothing)

    def tell(rpc):
        told.append(rpc)
        if len(told) < 5:
            rpc.run_callbacks()  # another thread, just now

    for _ in range(2):
        rpc.add_done_callback(tell)
    rpc.handle()
    rpc.run_callbacks()
    assert told == [rpc, rpc]


def test_what_was_handled_is_settled_with_the_next_request():
    bench, told = GrpcBench(echo), []
    visit = bench.visit("echo", 1)
    visit.rpc.add_done_callback(told.append)
    assert visit.outcome == b"1"
    bench.settle()
    bench.visit("echo", 2)
    assert told == [visit.rpc]


# -- 4, 5: between the queue and a drain, or a pool that fails ------------------------------------


def test_a_request_that_is_queued_while_a_drain_begins_is_refused(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    bench.pool.before_submit = lambda job: bench.dispatcher.refuse_new()
    visit = bench.visit("echo", 1)
    assert isinstance(visit.outcome, ShuttingDown)
    assert refused(visit)
    assert bench.pool.queued == 0


@pytest.mark.parametrize("event", ["a drain begins", "the pool fails"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_request_that_was_queued_all_the_same_is_handled_once(hold, complaints, event, taken):
    bench = GrpcBench(hold.tool, echo)
    visit = bench.prepare("echo", 1, message=False)
    if not taken:
        bench.visit("hold", "a")
        passed(hold.began)

    def happen(job):
        if taken:
            passed(visit.waits)
        if event == "the pool fails":
            fail()
        bench.dispatcher.refuse_new()

    bench.pool.after_submit = happen
    visit.rpc = bench.executor.submit(visit.handle)
    visit.message.set()
    assert refused(visit) is not taken
    hold.leave.set()
    bench.settle()
    bench.executor.control.shutdown()
    assert visit.handled == 1
    assert len(complaints) == (event == "the pool fails")


# -- 6: the client has left -----------------------------------------------------------------------


def test_a_client_that_left_before_its_call_began_is_noticed(hold):
    bench = GrpcBench(hold.tool)
    visit = bench.visit("hold", "a", message=False)
    visit.context.is_over = True
    hold.leave.set()
    visit.message.set()
    assert isinstance(visit.outcome, Cancelled)
    assert refused(visit)
    assert hold.ran == []


def test_a_client_that_leaves_while_its_tool_runs_is_noticed(hold):
    bench = GrpcBench(hold.tool)
    visit = bench.visit("hold", "a")
    passed(hold.began)
    visit.context.end()
    assert bench.dispatcher.health()["abandoned"] == 1
    hold.leave.set()
    assert isinstance(visit.outcome, Cancelled)
    assert visit.outcome.started is True


# -- 7: another thread answers --------------------------------------------------------------------


def test_a_thread_waits_for_the_answer_that_another_has_claimed(monkeypatch):
    locks, over, answer = [], threading.Event(), threading.Event()

    class Threading:
        @staticmethod
        def Lock():
            locks.append(ScriptedLock())
            return locks[-1]

    @tool
    def ends_when_interrupted(ctx: Context):
        def hold_up():
            over.set()
            passed(answer)

        ctx.on_cancel(hold_up)
        passed(over)

    monkeypatch.setattr(exchange, "threading", Threading)
    bench = GrpcBench(ends_when_interrupted)
    visit = bench.visit("ends_when_interrupted")
    wait_until(lambda: bench.dispatcher.calls)
    canceller = in_thread(visit.context.end)
    passed(over)
    passed(locks[0].contended)  # the tool has returned, and whoever has claimed is held up
    assert not visit.done.is_set()
    answer.set()
    join(canceller)
    assert isinstance(visit.outcome, Cancelled)


def test_a_call_that_waits_for_its_turn_gives_its_worker_up_and_is_answered():
    inside, leave = threading.Event(), threading.Event()

    @tool(serial=True)
    def alone(value):
        inside.set()
        passed(leave)
        return value

    bench = GrpcBench(alone, echo, max_workers=2)
    first = bench.visit("alone", 1)
    passed(inside)
    second = bench.visit("alone", 2)
    wait_until(lambda: bench.dispatcher.health()["queued"] == 1)
    assert bench.visit("echo", 3).outcome == b"3"
    leave.set()
    assert (first.outcome, second.outcome) == (b"1", b"2")


# -- 8: the end comes between the queue and the call ----------------------------------------------


@pytest.mark.parametrize("step", ["at_time_remaining", "at_add_callback"])
def test_a_request_between_queue_and_call_never_begins_once_it_is_over(hold, step):
    bench = GrpcBench(hold.tool)
    visit = bench.visit("hold", "a", message=False)
    passed(visit.waits)

    def end():
        bench.dispatcher.refuse_new()
        assert bench.executor.stop() == []
        bench.dispatcher.cancel_all("the caller is gone")

    setattr(visit.context, step, end)
    hold.leave.set()
    visit.message.set()
    assert isinstance(visit.outcome, ShuttingDown)
    assert refused(visit)
    assert hold.ran == []


def test_what_waits_in_the_queue_is_refused_at_the_end(hold):
    bench = GrpcBench(hold.tool, echo)
    bench.visit("hold", "a")
    passed(hold.began)
    waiting = [bench.visit("echo", n) for n in range(3)]
    ended = bench.executor.stop()
    for future in ended:
        future.result(20)
    assert [refused(visit) for visit in waiting] == [True] * 3 == [True] * len(ended)


# -- 9: the request ends while its tool runs ------------------------------------------------------


def test_a_tool_that_nobody_awaits_leaves_its_place_to_others(hold):
    bench = GrpcBench(hold.tool, echo)
    visit = bench.visit("hold", "a")
    passed(hold.began)
    visit.context.end()
    assert bench.visit("echo", 1).outcome == b"1"
    assert bench.dispatcher.health()["abandoned"] == 1
    hold.leave.set()
    join(visit.thread)
    assert bench.dispatcher.health()["abandoned"] == 0
    stats = bench.dispatcher.stats()["tools"]
    assert (stats["hold"]["calls"], stats["echo"]["calls"]) == (1, 1)


def test_a_worker_that_has_left_the_request_is_not_replaced(hold):
    bench = GrpcBench(hold.tool)
    replaced = []
    visit = bench.visit("hold", "a")
    passed(hold.began)
    rpc, moving = visit.rpc, ScriptedLock()
    rpc._moving = moving
    moving.acquire()  # gRPC has ended the request, and decides about its worker
    hold.leave.set()
    passed(moving.contended)  # the tool has returned, and its worker waits to leave
    moving.release()
    bench.settle()
    wait_until(lambda: bench.pool.workers[0].job is None, "the worker to leave")
    rpc.replace_worker(replaced.append)
    assert replaced == []


def test_a_worker_whose_place_was_given_away_is_not_replaced_with_its_request(hold):
    """(10) The second call waits for its turn; by then its worker runs the third."""
    other = Hold()

    @tool(serial=True)
    def alone():
        return hold.tool("a")

    @tool
    def third():
        return other.tool("b")

    bench = GrpcBench(alone, third, max_workers=2)
    bench.visit("alone")
    passed(hold.began)
    second = bench.visit("alone")
    wait_until(lambda: bench.dispatcher.health()["queued"] == 1, "the second to wait")
    bench.visit("third")
    passed(other.began)
    second.context.end()
    assert isinstance(second.outcome, Cancelled)
    assert bench.pool.replacements.workers == []
    other.leave.set()
    hold.leave.set()


def test_a_release_of_grpc_that_is_made_otherwise_is_served_as_grpc_does_it(monkeypatch):
    """The names are private: one that goes, or changes, must not keep a server from starting."""
    args = (None, SimpleNamespace(call=None), _server._RPCState(), None, None, None)
    assert receiving.Reception.of(args) is not None
    for name in receiving._NAMES:
        with monkeypatch.context() as patch:
            patch.delattr(_server, name)
            assert receiving.Reception.of(args) is None
    with monkeypatch.context() as patch:
        patch.setattr(_server, "_receive_message", lambda state: None)
        assert receiving.Reception.of(args) is None
    for gone in ("_server", "cygrpc"):
        with monkeypatch.context() as patch:
            patch.setattr(receiving, gone, None)
            assert receiving.Reception.of(args) is None
