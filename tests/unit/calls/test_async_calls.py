"""Calls of async tools: tasks of the event loop, with a limit of their own, without workers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge import current_context, tool
from bridge.calls import Dispatcher, Pool
from bridge.calls.interfaces import Output, Sink
from bridge.calls.stuck import StuckWatch
from tests.tool_bench import Bench, RecordingPeer
from tests.waiting import in_thread, join, passed, wait_until


class Gate:
    """Where coroutines wait until the test lets them go on. ``inside``: the numbers of those there."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.most = 0
        self._open = False

    async def wait(self, number: int) -> None:
        self.inside.append(number)
        self.most = max(self.most, len(self.inside))
        try:
            while not self._open:
                await asyncio.sleep(0.001)
        finally:
            self.inside.remove(number)

    def open(self) -> None:
        self._open = True


class AsyncBench(Bench):
    """A bench whose async tools are tasks of the loop, at most four at once."""

    max_async = 4

    def __init__(self, *functions: Callable[..., Any], **options: Any) -> None:
        self.gate = gate = Gate()

        @tool
        async def waits(number: int) -> int:
            await gate.wait(number)
            return number

        @tool(max_concurrency=2)
        async def limited(number: int) -> int:
            await gate.wait(number)
            return number

        @tool
        async def ignores_cancel(number: int) -> None:
            while True:
                try:
                    return await gate.wait(number)
                except asyncio.CancelledError:
                    pass

        @tool
        def plain() -> str:
            return threading.current_thread().name

        super().__init__(waits, limited, ignores_cancel, plain, *functions, **options)

    def enter(self, name: str, *numbers: int) -> list[int]:
        """Start calls, and wait until they are at the gate."""
        keys = [self.start(name, number) for number in numbers]
        wait_until(lambda: set(numbers) <= set(self.gate.inside), "calls at the gate")
        return keys

    def health(self, *names: str) -> list[Any]:
        health = self.dispatcher.health()
        return [health[name] for name in names]


@pytest.mark.parametrize("workers", [1, 2])  # one drives the loop
def test_calls_that_wait_occupy_no_worker_and_are_seen(workers: int) -> None:
    bench = AsyncBench(max_workers=workers)
    keys = bench.enter("waits", 1, 2, 3)
    assert bench.result(bench.start("plain")) == "bridge-worker-1"
    wait_until(lambda: not bench.dispatcher.health()["busy"], "an idle worker")
    names = ("in_flight", "queued", "busy", "max_async", "async_running", "async_abandoned")
    assert bench.health(*names) == [3, 0, 0, 4, 3, 0]
    bench.gate.open()
    assert [bench.result(key) for key in keys] == [1, 2, 3]
    bench.settle()
    stats = bench.dispatcher.stats()
    assert stats["tools"]["waits"]["calls"] == 3
    assert stats["tools"]["waits"]["run_time"]["count"] == 3


def test_beyond_the_limit_calls_wait_in_order_and_beyond_the_queue_they_are_refused() -> None:
    bench = AsyncBench(max_queue=2)
    first = bench.enter("waits", 1, 2, 3, 4)
    waiting = [bench.start("waits", number) for number in (5, 6)]
    assert bench.health("queued", "async_running") == [2, 4]
    error = bench.error(bench.start("waits", 7))
    assert error.code == "resource_exhausted"
    assert "4 async calls run (--max-async 4)" in error.message
    assert error.started is False
    assert bench.dispatcher.cancel(waiting[0])
    assert bench.error(waiting[0]).started is False
    bench.gate.open()
    assert [bench.result(key) for key in [*first, waiting[1]]] == [1, 2, 3, 4, 6]
    assert bench.gate.most == 4


def test_a_call_beyond_the_limit_of_its_tool_takes_no_turn_from_others() -> None:
    bench = AsyncBench()
    keys = bench.enter("limited", 1, 2)
    keys += [bench.start("limited", number) for number in (3, 4)]
    others = bench.enter("waits", 5, 6)
    assert sorted(bench.gate.inside) == [1, 2, 5, 6]
    assert bench.dispatcher.cancel(keys[2])
    bench.gate.open()
    assert [bench.result(key) for key in [*others, keys[0], keys[1], keys[3]]] == [5, 6, 1, 2, 4]
    bench.settle()
    assert bench.health("async_running", "queued") == [0, 0]


def test_a_call_that_refuses_to_end_keeps_its_turn_and_is_counted_as_abandoned() -> None:
    bench = AsyncBench()
    keys = bench.enter("ignores_cancel", 1, 2, 3, 4)
    waiting = bench.start("waits", 5)
    for key in keys:
        assert bench.dispatcher.cancel(key)
    assert bench.health("async_running", "async_abandoned", "in_flight") == [4, 4, 1]
    later = time.monotonic() + 40
    watch = StuckWatch(bench.pool, 30.0, lambda: later, bench.dispatcher.async_calls)
    assert watch.status() == "stuck"
    bench.gate.open()
    assert bench.result(waiting) == 5
    bench.settle()
    assert watch.status() == "serving"


def test_a_loop_that_a_tool_holds_up_is_noticed() -> None:
    begun, leave = threading.Event(), threading.Event()

    @tool
    async def blocks() -> None:
        begun.set()
        leave.wait(20)

    bench = AsyncBench(blocks)
    key = bench.start("blocks")
    passed(begun)
    watch = StuckWatch(bench.pool, 30.0, lambda: later, bench.dispatcher.async_calls)
    later = time.monotonic() + 40
    assert watch.status() == "serving"  # nobody has had to wait for it
    waiting = bench.start("waits", 1)
    later = time.monotonic() + 40
    assert watch.status() == "stuck"
    leave.set()
    bench.gate.open()
    assert (bench.result(key), bench.result(waiting)) == (None, 1)
    assert watch.status() == "serving"


def test_a_drain_waits_for_tasks_and_cancels_those_that_do_not_end() -> None:
    bench = AsyncBench()
    (key,) = bench.enter("waits", 1)
    assert bench.dispatcher.drain(0.05) is False
    assert bench.error(key).code == "unavailable"
    assert bench.dispatcher.wait_until_idle(20)
    assert bench.error(bench.start("waits", 2)).code == "unavailable"
    bench = AsyncBench()
    (key,) = bench.enter("waits", 1)
    ended: list[bool] = []
    drain = in_thread(lambda: ended.append(bench.dispatcher.drain(20)))
    wait_until(lambda: bench.dispatcher.draining, "the drain")
    bench.gate.open()
    join(drain)
    assert ended == [True]
    assert bench.result(key) == 1


def test_what_ends_in_one_round_of_the_loop_is_written_at_once() -> None:
    class Noting(Output):
        nudges = 0

        def nudge(self) -> None:
            self.nudges += 1

    output = Noting()
    bench = AsyncBench(output=output)
    keys = bench.enter("waits", 1, 2, 3, 4)
    bench.gate.open()
    assert [bench.result(key) for key in keys] == [1, 2, 3, 4]
    bench.settle()
    wait_until(lambda: output.nudges > 0, "a nudge")
    assert output.nudges <= 4


def test_a_task_that_somebody_else_cancels_before_its_first_step_is_answered() -> None:
    @tool
    async def cancel_others() -> int:
        # what is posted together begins together: the other has a task, which has not begun
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return sum(task.cancel() for task in others)

    bench = AsyncBench(cancel_others)
    begun, leave = threading.Event(), threading.Event()
    loop = bench.pool.threads.event_loop
    loop.post(lambda: (begun.set(), leave.wait(20)))
    passed(begun)  # nothing begins
    killer, victim = bench.start("cancel_others"), bench.start("waits", 1)
    leave.set()
    assert bench.result(killer) == 1
    assert bench.error(victim).type == "asyncio.exceptions.CancelledError"
    bench.settle()


def test_a_call_that_is_answered_on_its_way_to_the_loop_does_not_begin() -> None:
    bench = AsyncBench()
    begun, leave = threading.Event(), threading.Event()
    bench.pool.threads.event_loop.post(lambda: (begun.set(), leave.wait(20)))
    passed(begun)
    key = bench.start("waits", 1)
    assert bench.dispatcher.cancel(key)
    assert bench.error(key).started is False
    leave.set()
    bench.settle()
    bench.gate.open()
    assert bench.gate.most == 0
    assert bench.health("async_running") == [0]


def test_a_call_that_is_taken_back_between_two_queues_gives_its_turns_back() -> None:
    bench = AsyncBench()
    calls: Any = bench.dispatcher.async_calls
    first = bench.enter("limited", 1, 2)
    second = bench.start("limited", 3)
    bench.enter("waits", 5, 6)
    take_turn = calls._take_turn

    def take_turn_when_it_is_cancelled(call: Any) -> None:
        if call.key == second:
            calls._take_turn = take_turn
            join(in_thread(bench.dispatcher.cancel, second))
        take_turn(call)

    calls._take_turn = take_turn_when_it_is_cancelled
    bench.dispatcher.cancel(first[0])
    assert bench.error(second).code == "cancelled"
    fourth = bench.start("limited", 4)
    bench.gate.open()
    assert bench.result(fourth) == 4
    bench.settle()
    assert 3 not in bench.gate.inside
    assert bench.health("async_running", "queued") == [0, 0]
    assert [tool.serial.running for tool in bench.dispatcher.tools.values() if tool.serial] == [0]


def test_a_task_that_is_cancelled_when_it_has_ended_changes_nothing() -> None:
    bench = AsyncBench()
    loop = bench.pool.threads.event_loop
    (key,) = bench.enter("waits", 1)
    call: Any = bench.dispatcher.calls[key]
    begun, leave = threading.Event(), threading.Event()
    loop.post(lambda: (begun.set(), leave.wait(20)))
    passed(begun)
    bench.gate.open()
    callbacks = list(call._callbacks)
    leave.set()
    assert bench.result(key) == 1
    for cancel in callbacks:
        cancel()
    bench.settle()
    assert len(bench.peer.answers(key)) == 1
    assert bench.result(bench.start("waits", 2)) == 2


def test_streams_are_paced_by_credit_without_a_worker() -> None:
    @tool
    async def count(to: int):
        for number in range(to):
            yield [number, current_context().id]

    bench = AsyncBench(count, max_workers=1, peer=RecordingPeer(credit=1))
    keys = [bench.stream("count", 3) for _ in range(3)]
    for key in keys:
        wait_until(lambda key=key: len(bench.peer.of("item", key)) <= 1, "an item")
    assert bench.result(bench.start("plain")) == "bridge-worker-1"
    bench.peer.grant(20)
    for key in keys:
        assert bench.result(key) is None
        assert bench.peer.of("item", key) == [[number, key] for number in range(3)]


def test_a_thread_that_cannot_be_set_up_answers_the_calls_of_async_tools() -> None:
    class Hooks:
        close_worker = None

        def setup_worker(self) -> None:
            raise OSError("no licence left")

    @tool
    async def answer() -> int:
        return 42

    pool = Pool(2, 8)
    pool.threads.begin_calls(Hooks())
    bench = AsyncBench(answer, pool=pool)
    error = bench.error(bench.start("answer"))
    assert "setup_worker() failed on the thread of this call: no licence left" in error.message
    assert error.started is False
    pool.threads.begin_calls(type("Fine", (), {"setup_worker": None, "close_worker": None})())
    assert bench.result(bench.start("answer")) == 42


@pytest.mark.parametrize("max_async", [0, 3])
def test_without_an_async_tool_there_is_no_limit_to_tell(max_async: int) -> None:
    pool = Pool(1, 1)
    assert Dispatcher({}, pool, max_async=max_async).health()["max_async"] == 0
    pool.close()


class Scripted(Sink):
    """Takes items as a script says. ``steps``: what happens at each ``watch``, which returns what they do."""

    def __init__(self, *steps: Callable[[Scripted], bool]) -> None:
        self.steps = list(steps)
        self.ready = False
        self.items: list[int] = []
        self.look: Any = None
        self.waits = 0

    def is_ready(self) -> bool:
        return self.ready

    def watch(self, look: Callable[[], object]) -> bool:
        self.look = look
        return self.steps.pop(0)(self) if self.steps else False

    def unwatch(self) -> None:
        self.look = None

    def wait(self) -> None:
        self.waits += 1
        self.ready = True

    def send(self, item: int) -> None:
        self.items.append(item)
        self.ready = False

    def come(self) -> bool:
        """Credit comes before anybody could be told."""
        self.ready = True
        return True

    def come_later(self) -> bool:
        """Somebody looks in vain, then credit comes, on another thread."""

        def come(look: Callable[[], object]) -> None:
            look()
            self.ready = True
            look()

        in_thread(come, self.look)
        return True

    def flood(self) -> bool:
        """Credit comes to a peer that does not read any more."""
        in_thread(self.look)
        return True


@pytest.mark.parametrize(
    ("steps", "waits"),
    [
        ([Scripted.come] * 3, 0),
        ([Scripted.come_later] * 9, 0),
        ([Scripted.come, Scripted.flood, lambda sink: False, Scripted.come], 1),
        ([], 3),
    ],
)
def test_a_stream_waits_for_its_peer_without_a_thread_where_it_is_told(steps, waits):
    sink = Scripted(*steps)

    class Watched(RecordingPeer):
        def open_stream(self, call: Any) -> Any:
            return sink

    @tool
    async def count() -> Any:
        for number in range(2):
            yield number

    bench = AsyncBench(count, peer=Watched())
    bench.result(bench.stream("count"))
    assert (sink.items, sink.waits, sink.look) == ([0, 1], waits, None)
