"""Instances for calls at once, and calls on the main thread."""

import asyncio
import contextvars
import threading

import pytest

from bridge.errors import Cancelled
from bridge.process.main_queue import MainQueue
from bridge.snakepit.instances import Instances, MainThread
from bridge.snakepit.sensitive import is_sensitive
from tests.waiting import in_thread, join, passed, wait_until


class Thing:
    def __init__(self):
        self.used = 0

    def use(self, value=None):
        self.used += 1
        return value


def counted():
    """Instances, and in ``made`` all that there are."""
    made = [Thing()]

    def make():
        made.append(Thing())
        return made[-1]

    instances = Instances(made[0], make)
    instances.made = made
    return instances


def test_one_instance_serves_calls_that_follow_each_other():
    instances = counted()
    for _ in range(5):
        assert instances.call(lambda thing: thing.use("x")) == "x"
    (only,) = instances.made
    assert only.used == 5


def test_calls_at_once_have_instances_of_their_own():
    instances, together = counted(), threading.Barrier(3, timeout=20)

    def use(thing):
        thing.use()
        together.wait()

    join(*(in_thread(instances.call, use) for _ in range(3)))
    assert [thing.used for thing in instances.made] == [1, 1, 1]
    join(*(in_thread(instances.call, use) for _ in range(3)))
    assert [thing.used for thing in instances.made] == [2, 2, 2]


def test_where_there_is_no_way_to_make_another_all_share_one():
    instances = Instances(thing := Thing(), None)
    instances.call(lambda one: instances.call(lambda other: [one.use(), other.use()]))
    assert thing.used == 2


def fail(thing):
    raise KeyError


def raises(function, argument):
    with pytest.raises(KeyError):
        function(argument)


async def later(thing):
    await asyncio.sleep(0)
    return "later"


async def items_later(thing):
    yield 1
    yield 2


async def iterator_later(thing):
    return iter([1, 2])


async def collect(items):
    return [item async for item in items]


@pytest.mark.parametrize(
    ("work", "end"),
    [
        (lambda thing: (number for number in (1, 2)), list),
        (lambda thing: iter([1, 2]), list),
        (lambda thing: iter([1, 2]), lambda items: items.close()),
        (lambda thing: (number for number in (1, 2)), lambda items: items.close()),
        (lambda thing: iter([1, 2]), lambda items: (next(items), items.close())),
        (lambda thing: map(fail, [1]), lambda items: raises(next, items)),
        (later, asyncio.run),
        (iterator_later, lambda result: list(asyncio.run(result))),
        (items_later, lambda items: asyncio.run(collect(items))),
        (items_later, lambda items: asyncio.run(items.aclose())),
    ],
)
def test_an_instance_is_in_use_until_the_result_has_ended(work, end):
    instances = counted()
    result = instances.call(work)
    instances.call(lambda thing: thing.use())
    assert len(instances.made) == 2, "the first is in use"
    end(result)
    seen = [instances.call(lambda thing: (thing, thing.use())[0]) for _ in range(1)]
    assert seen == [instances.made[0]], "the first is free again, and was given back last"
    assert len(instances.made) == 2


def test_a_call_that_fails_gives_its_instance_back():
    instances = counted()
    for _ in range(3):
        with pytest.raises(KeyError):
            instances.call(fail)
    assert len(instances.made) == 1


def test_items_end_with_one_that_is_final():
    class Chunk:
        def __init__(self, data, is_final):
            self.data, self.is_final = data, is_final

    closed = []

    def chunks():
        try:
            yield from (Chunk(1, False), Chunk(2, True), Chunk(3, False))
        finally:
            closed.append(True)

    items = counted().call(lambda thing: chunks())
    assert [chunk.data for chunk in items] == [1, 2]
    assert closed == [True]


# -- the main thread --------------------------------------------------------------------------

VARIABLE = contextvars.ContextVar("variable", default=0)


@pytest.fixture
def main():
    """A queue, with a thread of the test's as the main one."""
    queue, ended = MainQueue(lambda: None), []

    def serve():
        while (reason := queue.take(20)) is None:
            pass
        ended.append(reason)

    thread = in_thread(serve)
    yield queue, thread
    queue.end("enough")
    join(thread)
    assert ended == ["enough"]


def test_a_function_runs_on_the_main_thread_in_the_context_of_its_call(main):
    queue, thread = main
    main_thread = MainThread(queue.post)
    VARIABLE.set(7)
    assert main_thread.run(lambda: (threading.current_thread(), VARIABLE.get())) == (thread, 7)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_it_raises_is_raised_where_it_was_called(main, error):
    def function():
        raise error

    with pytest.raises(type(error)) as caught:
        MainThread(main[0].post).run(function)
    assert caught.value is error


def test_one_runs_after_the_other(main):
    main_thread, order, leave = MainThread(main[0].post), [], threading.Event()

    def first():
        order.append("first began")
        passed(leave)
        order.append("first ended")

    one = in_thread(main_thread.run, first)
    wait_until(lambda: order, "the first")
    two = in_thread(main_thread.run, lambda: order.append("second"))
    leave.set()
    join(one, two)
    assert order == ["first began", "first ended", "second"]


def test_nothing_is_run_for_a_call_that_nobody_awaits(main, monkeypatch):
    from bridge.running_call import running_call

    call = type("Call", (), {"interruption": Cancelled("nobody waits")})()
    token = running_call.set(call)
    try:
        with pytest.raises(Cancelled):
            MainThread(main[0].post).run(lambda: pytest.fail("it ran"))
    finally:
        running_call.reset(token)


def test_an_end_that_comes_while_it_is_busy_is_hurried():
    hurried, ended = [], []
    queue = MainQueue(lambda: hurried.append(True))

    def post_an_end():
        queue.end("SIGTERM")

    queue.post(post_an_end)
    assert queue.take(1) is None
    assert hurried == [True]
    ended.append(queue.take(1))
    assert ended == ["SIGTERM"]
    queue.end("again")
    assert (queue.take(1), hurried) == ("again", [True])
    assert queue.take(0.001) is None


# -- which calls --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "arguments", "listed", "expected"),
    [
        ({}, {}, None, False),
        ({"thread_sensitive": "true"}, {}, None, True),
        ({"thread_sensitive": " Yes "}, {}, None, True),
        ({"thread_sensitive": "false"}, {}, None, False),
        ({}, {"python_module": "torch"}, "numpy, torch", True),
        ({}, {"module_path": "torch", "library": "numpy"}, "numpy", False),
        ({}, {"library": "numpy.linalg", "function": "svd"}, "numpy.linalg.svd", True),
        ({}, {"library": "numpy.linalg", "method": "qr"}, "numpy.linalg.svd", False),
        ({}, {"function": "svd"}, "svd", False),
        ({}, {"library": ["no", "text"]}, "no", False),
        ({}, {"library": "x"}, " , ", False),
    ],
)
def test_metadata_and_environment_say_which_are_sensitive(metadata, arguments, listed, expected):
    """0.9.1 to 0.13.0, ``_thread_sensitive_from_metadata`` and ``_thread_sensitive_from_env``."""
    environ = {} if listed is None else {"SNAKEPIT_THREAD_SENSITIVE": listed}
    assert is_sensitive(metadata, arguments, environ) is expected
