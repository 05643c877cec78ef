"""How calls end before their time: cancelled, out of time, at the end of the bridge. Once each."""

import threading
import time

import pytest

from bridge import CallError, Cancelled, Context, DeadlineExceeded, ShuttingDown, tool
from bridge.calls import deadlines
from tests.tool_bench import Bench, RecordingPeer
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until


class Blocking:
    """A bench with the tools ``ignores_cancel``, which the test lets go, and ``note``."""

    def __init__(self, **options):
        self.started, self.leave = threading.Event(), threading.Event()
        self.noted = []

        @tool
        def ignores_cancel(value=None):
            self.started.set()
            passed(self.leave)
            return value

        @tool
        def note(n):
            self.noted.append(n)
            return n

        self.bench = Bench(ignores_cancel, note, **options)

    def block(self, *args, **options):
        key = self.bench.start("ignores_cancel", *args, **options)
        passed(self.started)
        return key


@pytest.fixture
def blocking():
    made = []

    def make(**options):
        made.append(Blocking(**({"max_workers": 1} | options)))
        return made[-1]

    yield make
    for subject in made:
        subject.leave.set()


def test_a_call_that_is_cancelled_before_it_starts_never_runs(blocking):
    subject = blocking()
    bench, running = subject.bench, subject.block()
    queued = bench.start("note", 1)
    assert bench.dispatcher.cancel(queued) is True
    error = bench.error(queued)
    assert type(error) is Cancelled
    assert error.started is False
    assert bench.dispatcher.cancel(queued) is False
    subject.leave.set()
    bench.result(running)
    bench.settle()
    assert subject.noted == []
    assert len(bench.peer.answers(queued)) == 1


def test_a_call_that_is_cancelled_while_it_runs_is_answered_at_once(blocking):
    subject = blocking()
    bench, key = subject.bench, subject.block()
    assert bench.dispatcher.cancel(key) is True
    (error,) = bench.peer.answers(key)  # here already
    assert type(error) is Cancelled
    assert error.started is True
    assert "may go on" in error.message
    health = bench.dispatcher.health()
    assert (health["in_flight"], health["busy"], health["abandoned"]) == (0, 1, 1)
    subject.leave.set()
    bench.settle()
    assert bench.peer.answers(key) == [error]
    assert bench.dispatcher.health()["abandoned"] == 0
    assert bench.result(bench.start("note", 1)) == 1


def test_cancelling_what_is_unknown_or_ended_does_nothing(blocking):
    bench = blocking().bench
    key = bench.start("note", 1)
    bench.result(key)
    assert bench.dispatcher.cancel(key) is False
    assert bench.dispatcher.cancel(12345) is False
    assert len(bench.peer.events) == 1


def test_a_deadline_that_passes_in_the_queue_ends_the_call(blocking):
    subject = blocking()
    bench, running = subject.bench, subject.block()
    queued = bench.start("note", 1, timeout_s=0.01)
    error = bench.error(queued)
    assert type(error) is DeadlineExceeded
    assert error.started is False
    subject.leave.set()
    bench.result(running)
    bench.settle()
    assert subject.noted == []


def test_what_is_still_queued_shortly_before_its_deadline_is_refused_and_what_runs_goes_on(
    blocking, monkeypatch
):
    # so that "shortly" is nearly all of the time that the calls have
    monkeypatch.setattr(deadlines, "_WORD_S", WAIT_S)
    monkeypatch.setattr(deadlines, "_WORD_SHARE", 0.999)
    subject = blocking()
    bench, running = subject.bench, subject.block("runs", timeout_s=WAIT_S)
    error = bench.error(bench.start("note", 1, timeout_s=WAIT_S))
    assert type(error) is DeadlineExceeded
    assert error.started is False
    assert "queued" in str(error)
    subject.leave.set()
    assert bench.result(running) == "runs"
    assert subject.noted == []


def test_a_call_that_began_in_time_has_the_whole_of_it(blocking, monkeypatch):
    monkeypatch.setattr(deadlines, "_WORD_S", WAIT_S)
    monkeypatch.setattr(deadlines, "_WORD_SHARE", 1.0)  # watched from its beginning on
    subject = blocking()
    began = time.monotonic()
    error = subject.bench.error(subject.block(timeout_s=0.2))
    assert (type(error), error.started) == (DeadlineExceeded, True)
    assert time.monotonic() - began >= 0.2


def test_a_deadline_that_passes_while_the_tool_runs_answers_at_once(blocking):
    subject = blocking()
    key = subject.bench.start_to_expire("ignores_cancel", subject.started)
    error = subject.bench.error(key)
    assert type(error) is DeadlineExceeded
    assert error.started is True
    wait_until(lambda: subject.bench.dispatcher.health()["abandoned"] == 1)


def test_no_time_at_all_is_a_deadline_too(blocking):
    subject = blocking()
    subject.block()
    assert subject.bench.error(subject.bench.start("note", 1, timeout_s=0.0)).code == "deadline_exceeded"  # fmt: skip


def test_a_deadline_does_not_touch_a_call_that_ends_in_time(blocking):
    bench = blocking().bench
    keys = [bench.start("note", n, timeout_s=WAIT_S) for n in range(20)]
    assert [bench.result(key) for key in keys] == list(range(20))


def test_the_deadline_of_an_earlier_call_does_not_end_a_later_one_with_its_key(blocking):
    subject = blocking(max_workers=2)
    bench = subject.bench
    for timeout_s in (0.03, 0.3, 3.0):
        bench.peer.events.clear()
        bench.start("note", 1, key=7, timeout_s=timeout_s)
        if bench.peer.answer(7) == 1:
            break  # it has ended before its deadline
    subject.block("alive", key=7)
    later_s = timeout_s + 0.07
    bench.error(bench.start("ignores_cancel", timeout_s=later_s))  # so that deadline has passed
    assert bench.dispatcher.health()["in_flight"] == 1
    bench.peer.events.clear()
    subject.leave.set()
    assert bench.result(7) == "alive"


def test_a_callback_that_leaves_the_program_does_not_stop_later_deadlines():
    started = threading.Event()

    def leave():
        raise SystemExit

    @tool
    def leaves_on_cancel(ctx: Context):
        ctx.on_cancel(leave)
        started.set()
        ctx.wait(WAIT_S)

    bench = Bench(leaves_on_cancel)
    for _ in range(2):
        key = bench.start_to_expire("leaves_on_cancel", started)
        assert bench.error(key).code == "deadline_exceeded"
        started.clear()


def test_a_key_is_free_again_after_the_answer_while_the_old_thread_still_runs(blocking):
    subject = blocking(max_workers=2)
    bench = subject.bench
    subject.block("old", key=7)
    bench.dispatcher.cancel(7)
    assert bench.error(7).code == "cancelled"
    bench.peer.events.clear()
    subject.started.clear()
    subject.block("new", key=7)
    subject.leave.set()
    assert bench.result(7) == "new"
    bench.settle()
    assert bench.peer.events == [("result", 7, "new")]


def test_fail_ends_a_call_with_the_error_it_is_given(blocking):
    subject = blocking()
    bench, key = subject.bench, subject.block()
    fault = CallError("negative credit", code="invalid_argument")
    assert bench.dispatcher.fail(key, fault) is True
    assert bench.dispatcher.fail(key, fault) is False
    assert bench.peer.answers(key) == [fault]


def test_the_end_of_a_tool_a_cancel_and_a_deadline_meet_and_one_of_them_answers():
    """All three happen at the instant of the deadline, again and again."""

    @tool
    def ends_at_the_deadline(ctx: Context):
        while ctx.time_remaining():
            pass
        return "ended"

    bench, outcomes = Bench(ends_at_the_deadline), set()
    for _ in range(150):
        deadline = time.monotonic() + 0.002
        key = bench.start("ends_at_the_deadline", timeout_s=0.002)
        while time.monotonic() < deadline:
            pass
        bench.dispatcher.cancel(key)
        bench.settle()
        (answer,) = bench.peer.answers(key)
        outcomes.add(answer if answer == "ended" else answer.code)
    assert outcomes <= {"ended", "cancelled", "deadline_exceeded"}


def test_the_end_of_a_tool_and_two_cancels_meet_and_one_of_them_answers():
    together = threading.Barrier(3, timeout=WAIT_S)

    @tool
    def ends_now():
        together.wait()
        return "ended"

    bench, cancelled = Bench(ends_now, max_workers=1), []

    def cancel(key):
        together.wait()
        cancelled.append(bench.dispatcher.cancel(key))

    for _ in range(150):
        key = bench.start("ends_now")
        join(in_thread(cancel, key), in_thread(cancel, key))
        bench.settle()
        (answer,) = bench.peer.answers(key)
        assert cancelled.count(True) == (answer != "ended"), "who was told so must have answered"
        cancelled.clear()


def test_a_drain_lets_what_runs_and_waits_end(blocking):
    subject = blocking()
    bench, running = subject.bench, subject.block("ran")
    queued = bench.start("note", 1)
    drained = []
    draining = in_thread(lambda: drained.append(bench.dispatcher.drain(WAIT_S)))
    wait_until(lambda: bench.dispatcher.health()["status"] == "draining")
    late = bench.error(bench.start("note", 2))
    assert type(late) is ShuttingDown
    assert late.started is False
    subject.leave.set()
    join(draining)
    assert drained == [True]
    assert (bench.result(running), bench.result(queued)) == ("ran", 1)
    assert subject.noted == [1]


def test_what_does_not_end_within_the_grace_is_answered_unavailable(blocking):
    subject = blocking()
    bench, running = subject.bench, subject.block()
    queued = bench.start("note", 1)
    assert bench.dispatcher.drain(0.01) is False
    assert (bench.error(running).code, bench.error(running).started) == ("unavailable", True)
    assert (bench.error(queued).code, bench.error(queued).started) == ("unavailable", False)
    assert bench.dispatcher.wait_until_idle(0.0) is False
    subject.leave.set()
    bench.settle()
    assert subject.noted == []


def test_a_drain_of_an_idle_bridge_ends_at_once(blocking):
    bench = blocking().bench
    assert bench.dispatcher.drain(WAIT_S) is True
    assert bench.error(bench.start("note", 1)).code == "unavailable"


def test_a_drain_waits_until_the_last_answer_is_sent():
    sending, let_send = threading.Event(), threading.Event()

    class SlowPeer(RecordingPeer):
        def send_result(self, key, result):
            sending.set()
            passed(let_send)
            super().send_result(key, result)

    bench = Bench(tool(name="quick")(lambda: 1), peer=SlowPeer())
    key, answered_at_the_end = bench.start("quick"), []
    passed(sending)

    def drain():
        bench.dispatcher.drain(WAIT_S)
        answered_at_the_end.extend(bench.peer.answers(key))

    draining = in_thread(drain)
    draining.join(0.3)  # a drain that does not wait is over by now
    let_send.set()
    join(draining)
    assert answered_at_the_end == [1]


def test_cancel_all_answers_everything_unavailable(blocking):
    subject = blocking()
    keys = [subject.block(), *(subject.bench.start("note", n) for n in range(3))]
    subject.bench.dispatcher.cancel_all("the caller is gone")
    assert {subject.bench.error(key).code for key in keys} == {"unavailable"}
    assert "the caller is gone" in subject.bench.error(keys[0]).message


def test_a_call_of_a_forked_process_says_nothing_and_leaves_where_it_would_answer():
    left = threading.Event()

    @tool
    def speaks(ctx: Context):
        bench.dispatcher.forked(left.set)
        ctx.progress(1)
        return "for nobody"

    bench = Bench(speaks)
    bench.start("speaks")
    passed(left)
    assert bench.dispatcher.wait_until_idle(10.0)
    assert bench.peer.events == []
