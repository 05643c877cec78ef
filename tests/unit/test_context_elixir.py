"""The way back to Elixir, as a tool's context offers it."""

import threading

import pytest

from bridge import CallError, Context, tool
from bridge.running_call import Elixir as ElixirBase
from tests.tool_bench import Bench
from tests.waiting import passed


class Elixir(ElixirBase):
    """Says what it was asked."""

    def call_tool(self, call, name, params, timeout_s=None):
        return [call.tool_name, call.session, name, params]

    def list_tools(self, call):
        return {"shout": {"session": call.session}}


@tool
def ask(ctx: Context):
    # a parameter of the Elixir tool may have any name
    return ctx.call_elixir("shout", text="a", name="b", self="c")


@tool
def tools(ctx: Context):
    return ctx.elixir_tools()


@pytest.fixture
def bench():
    return Bench(ask, tools)


def test_the_context_hands_on_its_call():
    bench = Bench(ask, tools, elixir=Elixir())
    asked = bench.result(bench.start("ask", session="s"))
    assert asked == ["ask", "s", "shout", {"text": "a", "name": "b", "self": "c"}]
    assert bench.result(bench.start("tools", session="s")) == {"shout": {"session": "s"}}


@pytest.mark.parametrize("name", ["ask", "tools"])
def test_where_there_is_no_way_back_a_call_says_so(bench, name):
    error = bench.error(bench.start(name))
    assert (type(error), error.code) == (CallError, "failed_precondition")
    assert "no way back to Elixir" in error.message


def test_a_callback_that_is_forgotten_does_not_run():
    called, started = [], threading.Event()

    def kept():
        called.append("kept")

    def forgotten():
        called.append("forgotten")

    @tool
    def wait(ctx: Context):
        call = ctx._call
        call.on_interrupt(forgotten)
        call.on_interrupt(kept)
        call.forget(forgotten)
        call.forget(forgotten)
        started.set()
        ctx.wait()

    bench = Bench(wait)
    key = bench.start("wait")
    passed(started)
    bench.dispatcher.cancel(key)
    bench.settle()
    assert called == ["kept"]
