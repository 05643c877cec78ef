"""Tools that are ``async def``: one event loop for all, the same outcomes, real cancellation."""

import asyncio
import contextvars
import functools
import sys
import threading

import pytest

from bridge import current_context, tool
from tests.tool_bench import Bench, RecordingPeer
from tests.waiting import WAIT_S, passed, wait_until

variable = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=[0, 8], ids=["on workers", "on the loop"], autouse=True)
def max_async(request, monkeypatch):
    """Calls occupy a worker each, or are tasks of the loop: the same happens."""
    monkeypatch.setattr(Bench, "max_async", request.param)


@tool
async def add(a, b):
    await asyncio.sleep(0)
    return a + b


def test_the_result_of_a_coroutine_is_the_answer():
    bench = Bench(add)
    assert bench.result(bench.start("add", 1, 2)) == 3


def test_the_exception_of_a_coroutine_is_told_with_its_frames_only():
    @tool
    async def fails():
        await asyncio.sleep(0)
        raise ValueError("as expected")

    bench = Bench(fails)
    error = bench.error(bench.start("fails"))
    assert (error.type, error.message) == ("builtins.ValueError", "as expected")
    frames = [line for line in error.traceback if line.startswith("  File ")]
    assert len(frames) == 1
    assert frames[0].endswith("in fails")


def test_all_coroutines_run_on_one_loop_and_at_the_same_time():
    inside, loops = [], set()

    @tool
    async def meet():
        loops.add(asyncio.get_running_loop())
        inside.append(1)
        while len(inside) < 3:
            await asyncio.sleep(0.001)
        return threading.current_thread().name

    bench = Bench(meet, max_workers=3)
    keys = [bench.start("meet") for _ in range(3)]
    assert len({bench.result(key) for key in keys}) == 1
    assert len(loops) == 1


def test_a_cancel_reaches_the_coroutine_where_it_waits():
    started, reached = threading.Event(), threading.Event()

    @tool
    async def waits():
        started.set()
        try:
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            reached.set()
            raise

    bench = Bench(waits)
    key = bench.start("waits")
    passed(started)
    assert bench.dispatcher.cancel(key)
    passed(reached)
    bench.settle()
    assert [answer.code for answer in bench.peer.answers(key)] == ["cancelled"]


def test_a_coroutine_that_ignores_its_cancellation_occupies_its_place():
    started, ignored, leave = threading.Event(), threading.Event(), threading.Event()

    @tool
    async def ignores_cancel():
        started.set()
        while not leave.is_set():
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                ignored.set()

    bench = Bench(ignores_cancel)
    key = bench.start("ignores_cancel")
    passed(started)
    bench.dispatcher.cancel(key)
    passed(ignored)
    health = bench.dispatcher.health()
    assert health["abandoned"] + health["async_abandoned"] == 1
    assert health["in_flight"] == 0
    leave.set()
    bench.settle()
    assert len(bench.peer.answers(key)) == 1


def test_a_deadline_cancels_the_coroutine():
    started, reached = threading.Event(), threading.Event()

    @tool
    async def waits():
        started.set()
        try:
            await asyncio.sleep(WAIT_S)
        finally:
            reached.set()

    bench = Bench(waits)
    key = bench.start_to_expire("waits", started)
    passed(reached)
    assert bench.error(key).code == "deadline_exceeded"


def test_the_context_is_there_in_coroutines_and_their_tasks():
    @tool
    async def look():
        async def below():
            return current_context().id

        variable.set("of this call")
        return [current_context().id, await asyncio.create_task(below()), variable.get()]

    @tool
    async def look_again():
        return variable.get()

    bench = Bench(look, look_again)
    key = bench.start("look")
    assert bench.result(key) == [key, key, "of this call"]
    assert bench.result(bench.start("look_again")) == "unset"


def test_an_async_generator_streams_and_is_paused_between_items():
    made, closed = [], threading.Event()

    @tool
    async def count():
        try:
            for number in range(100):
                made.append((number, current_context().id))
                yield number
        finally:
            closed.set()

    bench = Bench(count, peer=RecordingPeer(credit=1))
    key = bench.stream("count")
    wait_until(lambda: bench.peer.of("item", key) == [0])
    bench.peer.grant(1)
    wait_until(lambda: bench.peer.of("item", key) == [0, 1])
    assert made == [(0, key), (1, key)]
    bench.dispatcher.cancel(key)
    passed(closed)
    bench.settle()
    assert made == [(0, key), (1, key)]
    assert len(bench.peer.answers(key)) == 1


def test_an_async_generator_to_its_end_and_to_its_failure():
    @tool
    async def count(to):
        for number in range(to):
            yield number
        if to == 2:
            raise ValueError("as expected")

    bench = Bench(count)
    whole, broken = bench.stream("count", 3), bench.stream("count", 2)
    assert bench.result(whole) is None
    assert bench.error(broken).type == "builtins.ValueError"
    assert bench.peer.of("item", whole) == [0, 1, 2]
    assert bench.peer.of("item", broken) == [0, 1]


def test_an_async_generator_runs_in_one_task_so_that_timeouts_inside_it_work():
    @tool
    async def count():
        async with asyncio.timeout(WAIT_S):
            for _ in range(3):
                yield id(asyncio.current_task())

    bench = Bench(count)
    key = bench.stream("count")
    assert bench.result(key) is None
    assert len(set(bench.peer.of("item", key))) == 1


def test_a_coroutine_may_return_what_is_to_be_streamed():
    @tool(stream=True)
    async def later():
        return [1, 2]

    bench = Bench(later)
    key = bench.stream("later")
    assert bench.result(key) is None
    assert bench.peer.of("item", key) == [1, 2]


def test_a_coroutine_that_leaves_the_program_ends_its_call_and_not_the_loop():
    @tool
    async def leave():
        sys.exit("good bye")

    bench = Bench(leave, add)
    assert bench.error(bench.start("leave")).type == "builtins.SystemExit"
    assert bench.result(bench.start("add", 1, 2)) == 3


def test_a_decorator_that_has_run_the_coroutine_already_is_understood():
    def run_here(function):
        @functools.wraps(function)
        def runs(*args):
            return asyncio.run(function(*args))

        return runs

    @tool
    @run_here
    async def double(x):
        return 2 * x

    bench = Bench(double)
    assert bench.result(bench.start("double", 4)) == 8


def test_an_async_generator_that_is_not_to_be_streamed_is_an_error():
    @tool(stream=False)
    async def count():
        yield 1

    bench = Bench(count)
    assert bench.error(bench.start("count")).code == "internal"
