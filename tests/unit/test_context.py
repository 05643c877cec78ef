"""What a running tool sees of its call, on its thread and on others."""

import contextvars
import threading
import time

import pytest

from bridge import (
    Cancelled,
    Context,
    DeadlineExceeded,
    ShuttingDown,
    current_context,
    tool,
)
from tests.tool_bench import Bench
from tests.waiting import WAIT_S, in_thread, join, passed


class Held:
    """A tool that hands its context to the test and returns when the test lets it."""

    def __init__(self):
        self.started = threading.Event()
        self.leave = threading.Event()
        self.context = None
        self.bench = Bench(tool(name="hold")(self.hold_function()))

    def hold_function(self):
        def hold(ctx: Context):
            self.context = ctx
            self.started.set()
            passed(self.leave)
            return "held"

        return hold

    def start(self, **options):
        key = self.bench.start("hold", **options)
        passed(self.started)
        return key


@pytest.fixture
def held():
    subject = Held()
    yield subject
    subject.leave.set()


def test_outside_of_a_call_there_is_no_context():
    with pytest.raises(LookupError, match="works inside tools"):
        current_context()


def test_inside_a_call_any_code_finds_the_context_but_not_on_other_threads():
    @tool
    def nested():
        below = []

        def elsewhere():
            with pytest.raises(LookupError):
                current_context()
            below.append("nothing")

        join(in_thread(elsewhere))
        inherited = contextvars.copy_context()
        join(in_thread(lambda: below.append(inherited.run(lambda: current_context().tool))))
        return [current_context().tool, *below]

    bench = Bench(nested)
    assert bench.result(bench.start("nested")) == ["nested", "nothing", "nested"]


def test_the_context_tells_what_the_caller_said(held):
    key = held.start(session="s", metadata={"traceparent": "00-1"})
    context = held.context
    assert (context.id, context.tool, context.session) == (key, "hold", "s")
    assert context.metadata == {"traceparent": "00-1"}
    assert context.time_remaining() is None
    assert repr(context) == "<Context of 'hold', live>"


def test_a_caller_that_says_nothing_has_no_session_and_no_metadata(held):
    held.start()
    assert held.context.session is None
    assert dict(held.context.metadata) == {}


def test_a_live_call_is_not_cancelled(held):
    held.start()
    held.context.check()
    assert held.context.cancelled is False
    assert held.context.wait(0) is False


def test_the_time_that_remains_shrinks_down_to_zero(held):
    key = held.bench.start_to_expire("hold", held.started)
    assert 0.0 <= held.context.time_remaining() <= WAIT_S
    held.bench.error(key)
    assert held.context.time_remaining() == 0.0


def test_a_cancelled_call_says_so_in_every_way(held):
    key = held.start()
    waited = []
    waiting = in_thread(lambda: waited.append(held.context.wait()))
    held.bench.dispatcher.cancel(key)
    join(waiting)
    assert waited == [True]
    assert held.context.cancelled is True
    assert held.context.wait() is True
    assert repr(held.context) == "<Context of 'hold', cancelled>"
    with pytest.raises(Cancelled):
        held.context.check()


def test_check_tells_why_nobody_waits(held):
    held.bench.start_to_expire("hold", held.started)
    assert held.context.wait(WAIT_S)
    with pytest.raises(DeadlineExceeded):
        held.context.check()


def test_check_tells_that_the_bridge_shuts_down(held):
    held.start()
    held.bench.dispatcher.cancel_all("the end")
    with pytest.raises(ShuttingDown):
        held.context.check()


def test_a_tool_that_checks_ends_and_is_answered_once():
    started = threading.Event()

    @tool
    def polite(ctx: Context):
        started.set()
        ctx.wait(WAIT_S)
        ctx.check()

    bench = Bench(polite)
    key = bench.start("polite")
    passed(started)
    assert bench.dispatcher.cancel(key)
    bench.settle()
    assert [error.code for error in bench.peer.answers(key)] == ["cancelled"]


def test_on_cancel_runs_every_callback_exactly_once(held):
    key = held.start()
    ran = []
    for number in range(3):
        held.context.on_cancel(lambda number=number: ran.append(number))
    assert ran == []
    held.bench.dispatcher.cancel(key)
    held.bench.dispatcher.cancel(key)
    held.bench.dispatcher.cancel_all("again")
    assert ran == [0, 1, 2]


def test_on_cancel_runs_at_once_if_the_call_is_cancelled_already(held):
    held.bench.dispatcher.cancel(held.start())
    ran = []
    held.context.on_cancel(lambda: ran.append(threading.current_thread()))
    assert ran == [threading.current_thread()]


def test_on_cancel_does_not_run_when_the_call_ends_by_itself(held):
    key = held.start()
    ran = []
    held.context.on_cancel(lambda: ran.append("called"))
    held.leave.set()
    assert held.bench.result(key) == "held"
    assert held.bench.dispatcher.cancel(key) is False
    assert ran == []


def test_on_cancel_beside_a_cancel_runs_exactly_once():
    """Whether the callback comes before the cancel or after it."""
    for _ in range(200):
        held = Held()
        key, ran = held.start(), []
        together = threading.Barrier(2, timeout=WAIT_S)

        def cancel(held=held, key=key, together=together):
            together.wait()
            held.bench.dispatcher.cancel(key)

        thread = in_thread(cancel)
        together.wait()
        held.context.on_cancel(lambda ran=ran: ran.append(1))
        join(thread)
        assert ran == [1]
        held.leave.set()


def test_a_callback_that_fails_keeps_no_other_from_running(held, caplog):
    key = held.start()
    ran = []
    held.context.on_cancel(lambda: 1 / 0)
    held.context.on_cancel(lambda: ran.append("second"))
    held.bench.dispatcher.cancel(key)
    assert ran == ["second"]
    assert [error.code for error in held.bench.peer.answers(key)] == ["cancelled"]
    assert "a cancel callback of tool hold failed" in caplog.text


def test_progress_and_logs_reach_the_peer_under_the_call(held):
    key = held.start()
    held.context.progress(1, 2, "half")
    held.context.progress(2)
    held.context.log("info", "text", n=1)
    assert held.bench.peer.events == [
        ("progress", key, 1, 2, "half"),
        ("progress", key, 2, None, None),
        ("log", key, "info", "bridge.tool.hold", "text", {"n": 1}),
    ]


def test_no_progress_after_a_cancel(held):
    key = held.start()
    held.bench.dispatcher.cancel(key)
    held.context.progress(1)
    assert held.bench.peer.of("progress", key) == []


def test_no_progress_after_the_call_ended_by_itself(held):
    """A thread that the tool left behind must not speak for a call whose id may be used again."""
    key = held.start()
    held.leave.set()
    assert held.bench.result(key) == "held"
    held.context.progress(1)
    assert held.bench.peer.of("progress", key) == []


variable = contextvars.ContextVar("variable", default="unset")


def test_every_call_has_fresh_context_variables():
    @tool
    def swap(value):
        before = variable.get()
        variable.set(value)
        return before

    bench = Bench(swap, max_workers=1)
    variable.set("of the test")
    assert [bench.result(bench.start("swap", n)) for n in range(3)] == ["unset"] * 3


def test_the_deadline_counts_from_the_arrival_of_the_call():
    seen = threading.Event()
    blocked, leave = threading.Event(), threading.Event()

    @tool
    def block():
        blocked.set()
        passed(leave)

    @tool
    def remaining(ctx: Context):
        seen.set()
        return ctx.time_remaining()

    bench = Bench(block, remaining, max_workers=1)
    bench.start("block")
    passed(blocked)
    key = bench.start("remaining", timeout_s=1000.0)
    queued_at = time.monotonic()  # or a little later
    while time.monotonic() - queued_at < 0.01:
        pass
    leave.set()
    assert bench.result(key) <= 1000.0 - 0.01
