"""Adapters in the way of Snakepit: what becomes a tool, and what becomes of the steps of a life."""

import asyncio
import itertools
import sys
import types

import pytest

from bridge import AdapterError, CallError, Context, ThreadSafeAdapter, tool
from bridge.calls.dispatcher import Dispatcher
from bridge.calls.pool import Pool
from bridge.snakepit.adapter import EXECUTE, EXECUTE_STREAMING, SessionContext, build, load
from bridge.wire.messages import CallOptions, Request
from tests.tool_bench import ENDLESS, RecordingPeer

numbers = itertools.count()


class Elixir:
    """The way back, to nowhere."""

    def call_tool(self, call, name, params, timeout_s=None):
        return [call.session, name, params]

    def list_tools(self, call):
        return {call.session: {}}


class Served:
    """A class, loaded and served."""

    def __init__(self, cls):
        module = types.ModuleType(f"snakepit_style_{next(numbers)}")
        module.Tools = cls
        sys.modules[module.__name__] = module
        self.adapter = load(f"{module.__name__}.Tools")
        self.target = self.adapter.target
        self.tools = self.adapter.tools
        self.pool = Pool(2, 8)
        self.dispatcher = Dispatcher(self.tools, self.pool)
        self._peer = RecordingPeer()
        self._keys = itertools.count(1)

    def call(self, name, params, *, stream=False, session=None):
        """The result or error, of a stream its items before that."""
        key = next(self._keys)
        options = CallOptions(None, session, {"m": "1"}, ENDLESS if stream else None)
        self.dispatcher.dispatch(Request(key, name, params, options), self._peer)
        answer = self._peer.answer(key)
        return [*self._peer.of("item", key), answer] if stream else answer

    def execute(self, name, *, stream=False, session=None, **arguments):
        tool = EXECUTE_STREAMING if stream else EXECUTE
        return self.call(tool, [name, arguments], stream=stream, session=session)


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    served = []

    def serve(cls):
        served.append(Served(cls))
        return served[-1]

    yield serve
    for each in served:
        each.pool.close()
        del sys.modules[each.adapter.name.rpartition(".")[0]]


class Metadata:
    def __init__(self, description="", supports_streaming=False):
        self.description = description
        self.supports_streaming = supports_streaming


def marked(*args, **options):
    def mark(function):
        function._tool_metadata = Metadata(*args, **options)
        return function

    return mark


def returning(value):
    """A class whose ``execute_tool`` returns what ``value`` makes."""

    class Tools:
        def execute_tool(self, tool_name, arguments, context):
            return value()

    return Tools


async def later(value):
    await asyncio.sleep(0)
    return value


async def two_later():
    yield 1
    await asyncio.sleep(0)
    yield 2


# -- execute_tool -----------------------------------------------------------------------------


def test_it_gets_name_arguments_and_context(serve):
    class Tools:
        def execute_tool(self, tool_name, arguments, context):
            return [tool_name, arguments, context.session_id, context.request_metadata]

    found = serve(Tools).execute("any name", session="s", a=1, tool_name="mine")
    assert found == ["any name", {"a": 1, "tool_name": "mine"}, "s", {"m": "1"}]


def test_it_may_be_a_coroutine_or_return_one(serve):
    class Tools:
        async def execute_tool(self, tool_name, arguments, context):
            return await later(context.session_id)

    assert serve(Tools).execute("x", session="s") == "s"
    assert serve(returning(lambda: later(2))).execute("x") == 2


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (lambda: iter([1, 2]), [1, 2]),
        (lambda: (number for number in (1, 2)), [1, 2]),
        (lambda: [1, 2], [1, 2]),
        (lambda: (1, 2), [1, 2]),
        (two_later, [1, 2]),
        (lambda: later([1, 2]), [1, 2]),
        (lambda: later({"one": 1}), [{"one": 1}]),
        (lambda: {"one": 1}, [{"one": 1}]),
        (lambda: "text", ["text"]),
        (lambda: b"bytes", [b"bytes"]),
        (lambda: 0, [0]),
        (lambda: None, []),
    ],
)
def test_a_stream_takes_lists_and_iterators_apart_and_nothing_else(serve, value, items):
    assert serve(returning(value)).execute("x", stream=True) == [*items, None]


def test_its_exceptions_are_those_of_a_tool(serve):
    def fail():
        raise KeyError("x")

    error = serve(returning(fail)).execute("x")
    assert (error.code, error.type, error.message) == ("internal", "builtins.KeyError", "'x'")


def test_what_it_returns_may_be_an_item_that_is_not_there(serve):
    assert serve(returning(lambda: None)).execute("x") is None


# -- marked methods ---------------------------------------------------------------------------


class Marked:
    @marked("Doubles it")
    def double(self, number, times=1):
        return number * 2**times

    @marked(supports_streaming=True)
    def letters(self, text):
        return list(text)

    @marked()
    def count(self, n):
        yield from range(n)

    @marked()
    async def later(self, value):
        return await later(value)

    def not_marked(self):
        raise AssertionError


def test_marked_methods_are_tools(serve):
    served = serve(Marked)
    assert set(served.tools) == {"double", "letters", "count", "later"}
    assert served.tools["double"].description == "Doubles it"
    assert served.call("double", {"number": 2}) == 4
    assert served.call("letters", {"text": "ab"}, stream=True) == ["a", "b", None]
    assert served.call("count", {"n": 2}, stream=True) == [0, 1, None]
    assert served.call("later", {"value": 1}) == 1
    assert isinstance(served.call("not_marked", {}), CallError)


def test_inherited_marks_count(serve):
    class Child(Marked):
        def double(self, number, times=1):
            return "not marked again"

        @marked()
        def triple(self, number):
            return number * 3

    served = serve(Child)
    assert served.call("triple", {"number": 2}) == 6
    assert "double" not in served.tools


def test_properties_are_not_evaluated(serve):
    class Child(Marked):
        @property
        def model(self):
            raise AssertionError("not now")

    assert serve(Child).call("double", {"number": 1}) == 2


def test_a_class_in_the_way_of_the_bridge_is_served_as_everywhere(serve):
    class Tools(ThreadSafeAdapter):
        @tool
        def add(self, a, b, ctx: Context):
            return a + b

    served = serve(Tools)
    assert set(served.tools) == {"add"}
    assert served.call("add", [1, 2]) == 3


def test_a_class_without_any_tool_is_refused(serve):
    with pytest.raises(AdapterError, match="has no tools"):
        serve(type("Tools", (), {}))


# -- the steps of a life ----------------------------------------------------------------------


class Steps:
    def __init__(self):
        self.steps = []

    def set_session_context(self, context):
        self.steps.append(("context", context.session_id, context.request_metadata))

    def initialize(self):
        self.steps.append("initialize")

    def cleanup(self):
        self.steps.append("cleanup")

    def execute_tool(self, tool_name, arguments, context):
        return None


def test_each_step_is_taken_once(serve):
    served = serve(Steps)
    served.adapter.setup()
    served.execute("x")
    served.execute("x")
    assert served.target.steps == [("context", None, {}), "initialize"]
    served.adapter.close()
    assert served.target.steps[2:] == ["cleanup"]


def test_steps_may_be_coroutines(serve):
    class Tools(Steps):
        async def initialize(self):
            self.steps.append(await later("initialize"))

        async def cleanup(self):
            self.steps.append(await later("cleanup"))

    served = serve(Tools)
    served.adapter.setup()
    served.adapter.close()
    assert served.target.steps[1:] == ["initialize", "cleanup"]


def test_the_steps_of_the_bridge_are_taken_as_well(serve):
    class Tools(Steps, ThreadSafeAdapter):
        def setup(self):
            self.steps.append("setup")

        def close(self):
            self.steps.append("close")

    served = serve(Tools)
    served.adapter.setup()
    served.adapter.close()
    assert served.target.steps[1:] == ["setup", "initialize", "cleanup", "close"]


def test_no_step_is_needed(serve):
    adapter = serve(Marked).adapter
    adapter.setup()
    adapter.close()


@pytest.mark.parametrize("step", ["set_session_context", "initialize"])
def test_a_step_that_fails_is_named_with_its_traceback(serve, step):
    def fail(self, *args):
        raise OSError("no model")

    served = serve(type("Tools", (Steps,), {step: fail}))
    with pytest.raises(AdapterError, match=rf"{step}\(\) of .* failed(.|\n)*OSError: no model"):
        served.adapter.setup()


def test_thread_safety_is_the_class_own_word(serve):
    # where the workers were chosen, its calls share one instance
    assert not build("Tools", Marked, shares=True).thread_safe
    safe = type("Tools", (Marked,), {"__thread_safe__": True})
    assert build("Tools", safe, shares=True).thread_safe
    # else each call has one of its own
    assert build("Tools", Marked).thread_safe


# -- the session's context --------------------------------------------------------------------


def test_the_context_leads_to_elixir(serve):
    class Tools:
        def execute_tool(self, tool_name, arguments, context):
            context.cleanup()
            return [context.elixir_tools, context.call_elixir_tool("shout", name="x")]

    served = serve(Tools)
    error = served.execute("x", session="s")
    assert error.code == "failed_precondition"
    assert "no way back to Elixir" in error.message
    served.dispatcher.runtime.elixir = Elixir()
    assert served.execute("x", session="s") == [{"s": {}}, ["s", "shout", {"name": "x"}]]


def test_between_calls_there_is_no_session():
    context = SessionContext()
    assert (context.session_id, context.request_metadata) == (None, {})
    with pytest.raises(LookupError):
        context.call_elixir_tool("x")
    with pytest.raises(LookupError):
        _ = context.elixir_tools
