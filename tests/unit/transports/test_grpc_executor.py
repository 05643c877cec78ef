"""The interleavings that ``executor.py`` numbers, each forced; and what its threads do beside."""

import sys
import threading
import time
from collections import deque

import pytest

pytest.importorskip("grpc")

from bridge import Context, tool
from bridge.errors import CallError, Cancelled, PoolFull, ShuttingDown
from bridge.transports.grpc import exchange
from bridge.transports.grpc.rpc import PerThread, Rpc
from tests.waiting import in_thread, join, passed, wait_until

from .grpc_requests import GrpcBench, Hold, ScriptedLock, nothing


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


def test_a_thread_that_waits_too_long_for_a_message_is_replaced_and_its_call_runs_all_the_same():
    bench = GrpcBench(echo, thread)
    slow = bench.visit("thread", message=False)
    passed(slow.waits)
    bench.executor.look(time.monotonic() + 1)
    assert bench.visit("echo", 1).outcome == b"1"
    slow.message.set()
    assert slow.outcome.decode() == bench.pool.workers[0].name
    join(slow.thread)  # it was no worker any more
    bench.settle()


def test_a_thread_that_waits_a_moment_keeps_its_place():
    bench = GrpcBench(thread)
    visit = bench.visit("thread", message=False)
    passed(visit.waits)
    bench.executor.look(bench.pool.workers[0].since)
    assert bench.pool.workers[0].thread is visit.thread
    visit.message.set()
    assert visit.outcome.decode() == visit.thread.name


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


# -- 1: the message comes while the thread is replaced ------------------------------------------


def test_a_message_that_comes_while_its_thread_is_replaced_finds_it_replaced():
    bench = GrpcBench(thread)
    visit = bench.visit("thread", message=False)
    passed(visit.waits)
    (worker,) = bench.pool.workers
    moving = visit.rpc._moving = ScriptedLock()

    def replace(worker):
        visit.message.set()
        passed(moving.contended)  # its thread is here, and must not go on before there is another
        return bench.pool.relieve(worker)

    visit.rpc.replace_thread(replace)
    assert visit.outcome.decode() == worker.name
    join(visit.thread)
    assert worker.thread is not visit.thread
    assert worker.thread.is_alive()


def test_a_thread_that_has_its_message_just_before_the_watch_comes_keeps_its_place():
    bench = GrpcBench(thread)
    visit = bench.visit("thread", message=False)
    passed(visit.waits)
    replaced, came = [], []

    class WatchComes(ScriptedLock):
        def release(self):
            super().release()
            if not came:
                came.append(True)
                visit.rpc.replace_thread(replaced.append)

    visit.rpc._moving = WatchComes()
    visit.message.set()
    assert visit.outcome.decode() == visit.thread.name
    assert (came, replaced) == ([True], [])


def test_a_thread_that_cannot_be_replaced_keeps_its_place(monkeypatch):
    bench = GrpcBench(thread)
    visit = bench.visit("thread", message=False)
    passed(visit.waits)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        bench.executor.look(time.monotonic() + 1)
    visit.message.set()
    assert visit.outcome.decode() == visit.thread.name
    bench.settle()
    assert bench.visit("thread").outcome.decode() == visit.thread.name
    assert bench.dispatcher.stats()["workers"][0]["calls"] == 2


# -- 2: the worker has gone on --------------------------------------------------------------------


def test_a_worker_that_has_gone_on_is_not_replaced(hold):
    bench = GrpcBench(hold.tool)
    replaced = []
    visit = bench.visit("hold", "a")
    passed(hold.began)  # the watch has read that it waits for a message, and acts only now
    visit.rpc.replace_thread(replaced.append)
    assert replaced == []

    hold.leave.set()
    assert visit.outcome == b"a"
    over = threading.Event()
    no_call = bench.executor.submit(over.set)  # a request that comes to no call
    passed(over)
    bench.settle()
    no_call.replace_thread(replaced.append)
    assert replaced == []


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
