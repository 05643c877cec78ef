"""Dispatcher and pool against a model, on real threads: calls of every kind, ended in every way.

As in ``test_pool_machine``, the model knows who runs and who waits, and after each step the
machine waits until the real ones have come to rest there. In each step at most one worker gets
free, so the order in which calls start is the model's, too.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import CallError, Context, tool
from bridge.calls.event_loop import EventLoop
from bridge.calls.job import Job, SerialQueue, Worker
from bridge.wire.messages import CallOptions, Request
from tests.tool_bench import Bench, RecordingPeer, Unencodable
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until

#: One for all benches, because a loop and its thread live as long as the process.
LOOP = EventLoop()
KEYS = range(12)
SERIAL = ("alone", "lonely")
STREAMS = ("stream", "async_stream")
#: These notice at once that they were interrupted; of the others, a stream that is paused.
ATTENTIVE = ("asks", "coroutine", "async_stream")
TOOLS = ("plain", *SERIAL, *STREAMS, "asks", "coroutine")
#: What a tool does in the end, and the code and type of the error that its caller gets.
ENDINGS: dict[str, tuple[str, str | None] | None] = {
    "returns": None,
    "raises": ("internal", "builtins.ValueError"),
    "leaves the program": ("internal", "builtins.SystemExit"),
    "interrupts the program": ("internal", "builtins.KeyboardInterrupt"),
    "chooses a code": ("aborted", None),
    "returns what has no form": ("internal", "bridge.errors.EncodeError"),
}


#: A call: key, tool, ending, items, credit, and whether it ends without being told to.
PLANS = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from([*TOOLS, *SERIAL, "alone", "no_tool"]),
    st.sampled_from(list(ENDINGS)),
    st.integers(0, 2),
    st.integers(0, 3),
    st.booleans(),
)


class Work(RecordingPeer):
    """One call: what its tool does, and the peer that gets the answer.

    Each has its own, so an answer to somebody else shows even if both used the same key.
    ``items``: how many a stream has; it ends with more credit than that, once the gate is open.
    """

    def __init__(self, number: int, key: int, name: str, ending: str, items: int, credit: int):
        super().__init__(credit)
        self.number, self.key, self.name, self.ending = number, key, name, ending
        self.items, self.credit = items, credit
        self.gate: Future[None] = Future()
        self.woken = threading.Event()
        self.expected: Any = None  # the answer: a number, or the code and type of an error
        self.started_when_answered: bool | None = None
        self.at_gate = self.closed = False  # its generator

    def open(self) -> None:
        if not self.gate.done():
            self.gate.set_result(None)
        self.woken.set()

    @property
    def answered(self) -> bool:
        """Does the model say so?"""
        return self.expected is not None

    @property
    def paused(self) -> bool:
        return self.name in STREAMS and self.credit <= self.items

    @property
    def can_end(self) -> bool:
        if self.answered and (self.name in ATTENTIVE or self.paused):
            return True
        return self.gate.done() and not self.paused

    def expect_own_end(self) -> None:
        if not self.answered:
            self.expected = ENDINGS[self.ending] or self.number
            self.started_when_answered = True

    def finish(self) -> Any:
        """The end of its tool."""
        if self.ending == "raises":
            raise ValueError("on purpose")
        if self.ending == "leaves the program":
            raise SystemExit(3)
        if self.ending == "interrupts the program":
            raise KeyboardInterrupt
        if self.ending == "chooses a code":
            raise CallError("on purpose", code="aborted")
        return Unencodable() if self.ending == "returns what has no form" else self.number

    def check_answer(self) -> None:
        """Exactly one, at its own key, and nothing after it."""
        answer = self.answer(self.key)
        if isinstance(answer, CallError):
            wire = answer.to_wire()
            assert self.expected == (answer.code, answer.type), (self.expected, wire)
            if self.started_when_answered is not None:
                assert answer.started is self.started_when_answered, wire
        else:
            assert answer == self.expected
        assert self.events[-1][0] in ("result", "error")
        assert {event[1] for event in self.events} == {self.key}


class Probe(Job):
    """A job that shows that a worker, or a lane, is still there."""

    def __init__(self, together: threading.Barrier | None, lane: SerialQueue | None) -> None:
        self.together, self.serial = together, lane
        self.done = threading.Event()

    def run(self, worker: Worker, now: float) -> float:
        if self.together is not None:
            self.together.wait()
        self.done.set()
        return time.monotonic()


class Calls(RuleBasedStateMachine):
    """Calls on up to three workers."""

    @initialize(
        max_workers=st.integers(1, 3),
        max_queue=st.integers(0, 6),
        timed=st.booleans(),
        plans=st.lists(PLANS, max_size=6),
        end=st.sampled_from(["idle", "drain patiently", "drain at once"]),
    )
    def make(
        self, max_workers: int, max_queue: int, timed: bool, plans: list[Any], end: str
    ) -> None:
        self.bench = Bench(*self.tools(), max_workers=max_workers, max_queue=max_queue)
        self.dispatcher, self.pool = self.bench.dispatcher, self.bench.pool
        self.dispatcher.runtime.threads._event_loop = LOOP
        self.timed = timed
        self.end = end
        self.works: list[Work] = []
        self.starts: list[int] = []
        self.inside: Counter[str] = Counter()
        self.overlapped = False
        # the model
        self.running: list[Work] = []
        self.ready: list[Work] = []
        self.serials: dict[str, list[Work]] = {
            name: [] for name in SERIAL
        }  # the first has the lane
        self.interrupted: Counter[str] = Counter()
        self.begun: list[int] = []
        self.ran = 0
        self.in_order = self.exact = True
        self.draining = False
        self.call_some(plans)

    # -- the tools --------------------------------------------------------------------------------

    def tools(self) -> list[Any]:
        def begin(number: int) -> Work:
            self.starts.append(number)
            return self.works[number]

        def serial(number: int) -> Any:
            work = begin(number)
            self.inside[work.name] += 1
            self.overlapped |= self.inside[work.name] > 1
            try:
                work.gate.result(WAIT_S)
                return work.finish()
            finally:
                self.inside[work.name] -= 1

        async def gate_of(work: Work) -> None:
            loop, opened = asyncio.get_running_loop(), asyncio.Event()
            work.gate.add_done_callback(lambda _: loop.call_soon_threadsafe(opened.set))
            await opened.wait()

        @tool
        def plain(number: int) -> Any:
            work = begin(number)
            work.gate.result(WAIT_S)
            return work.finish()

        @tool(serial=True)
        def alone(number: int) -> Any:
            return serial(number)

        @tool(serial=True)
        def lonely(number: int) -> Any:
            return serial(number)

        @tool
        def asks(number: int, ctx: Context) -> Any:
            work = begin(number)
            ctx.on_cancel(work.woken.set)
            passed(work.woken)
            ctx.check()
            return work.finish()

        @tool
        async def coroutine(number: int) -> Any:
            work = begin(number)
            await gate_of(work)
            return work.finish()

        @tool
        def stream(number: int) -> Iterator[Any]:
            work = begin(number)
            try:
                yield from range(work.items)
                work.at_gate = True
                work.gate.result(WAIT_S)
                if work.ending == "returns what has no form":
                    yield Unencodable()
                return work.finish()
            finally:
                work.closed = True

        @tool
        async def async_stream(number: int) -> AsyncIterator[Any]:
            work = begin(number)
            try:
                for item in range(work.items):
                    yield item
                await gate_of(work)
                if work.ending == "returns what has no form":
                    yield Unencodable()
                work.finish()
            finally:
                work.closed = True

        return [plain, alone, lonely, asks, coroutine, stream, async_stream]

    # -- calls begin ------------------------------------------------------------------------------

    def new_work(self, key: int, name: str, ending: str, items: int, credit: int) -> Work:
        """A call under ``key``, or the next one that is free."""
        taken = {work.key for work in self.works if not work.answered}
        keys = (other % len(KEYS) for other in range(key, key + len(KEYS)))
        key = next(key for key in keys if key not in taken)
        return Work(len(self.works), key, name, ending, items, credit)

    def dispatch(self, work: Work, timeout_s: float | None = None) -> None:
        credit = (work.credit, 1 << 40) if work.name in STREAMS else None
        options = CallOptions(timeout_s=timeout_s, credit=credit)
        self.works.append(work)
        self.dispatcher.dispatch(Request(work.key, work.name, [work.number], options), work)

    def has_room(self, name: str) -> bool:
        must_wait = bool(self.serials.get(name)) or len(self.running) == self.pool.max_workers
        return not must_wait or self.waiting() < self.pool.max_queue

    def waiting(self) -> int:
        return len(self.ready) + sum(len(lane[1:]) for lane in self.serials.values())

    @rule(plan=PLANS)
    def call(self, plan: tuple[Any, ...]) -> None:
        key, name, ending, items, credit, quick = plan
        if name == "async_stream" and ending == "returns":
            ending = "raises"  # an async generator returns nothing
        work = self.new_work(key, name, ending, items, credit)
        if quick:
            work.open()
        self.start(work)

    @rule(plans=st.lists(PLANS, min_size=2, max_size=4))
    def call_some(self, plans: list[tuple[Any, ...]]) -> None:
        for plan in plans:
            self.the_dispatcher_does_what_the_model_does()
            self.call(plan)

    @rule(name=st.sampled_from(SERIAL), count=st.integers(3, 4))
    def queue_up(self, name: str, count: int) -> None:
        """Several wait for the same lane."""
        for _ in range(count):
            self.the_dispatcher_does_what_the_model_does()
            self.start(self.new_work(0, name, "returns", 0, 0))

    def start(self, work: Work) -> None:
        name = work.name
        refusal = None
        if name == "no_tool":
            refusal = "not_found"
        elif self.draining:
            refusal = "unavailable"
        elif not self.has_room(name):
            refusal = "resource_exhausted"
        self.dispatch(work, 1000.0 if self.timed and work.ending == "raises" else None)
        if refusal is not None:
            work.expected, work.started_when_answered = (refusal, None), False
            work.check_answer()
            return
        lane = self.serials.get(name)
        if lane is not None:
            lane.append(work)
            if lane[0] is not work:
                return
        self.ready.append(work)

    @precondition(lambda self: self.timed)
    @precondition(lambda self: len(self.running) == self.pool.max_workers)
    @rule(name=st.sampled_from(TOOLS))
    def call_without_time(self, name: str) -> None:
        """No worker is free, and it may not wait."""
        work = self.new_work(0, name, "returns", 0, 1)
        code = "deadline_exceeded" if self.has_room(name) else "resource_exhausted"
        self.dispatch(work, 0.0)
        work.expected, work.started_when_answered = (code, None), False
        work.check_answer()
        self.interrupted[code] += code == "deadline_exceeded"

    # -- calls go on, and end -----------------------------------------------------------------------

    @precondition(lambda self: self.running or self.waiting())
    @rule(data=st.data(), count=st.integers(1, 3))
    def open_gates(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            self.the_dispatcher_does_what_the_model_does()
            if self.running or self.waiting():
                data.draw(st.sampled_from([*self.running, *self.queued()])).open()

    @precondition(lambda self: any(work.name in STREAMS for work in self.running))
    @rule(data=st.data(), items=st.integers(1, 2))
    def grant(self, data: st.DataObject, items: int) -> None:
        streams = [work for work in self.running if work.name in STREAMS]
        work = data.draw(st.sampled_from(streams))
        if not work.answered:
            if not work.credit:
                self.begun.append(work.number)
            work.credit += items
            work.grant(items)

    @precondition(lambda self: self.running or self.waiting())
    @rule(data=st.data(), how=st.sampled_from(["cancel", "expire", "fail"]))
    def interrupt(self, data: st.DataObject, how: str) -> None:
        in_flight = [work.key for work in self.works if not work.answered]
        keys = st.sampled_from(KEYS)
        key = data.draw(st.sampled_from(in_flight) | keys if in_flight else keys)
        work = next((work for work in self.works if work.key == key and not work.answered), None)
        fault = CallError("it broke a rule", code="invalid_argument", started=work in self.running)
        dispatcher = self.dispatcher
        ended = dispatcher.fail(key, fault) if how == "fail" else getattr(dispatcher, how)(key)
        assert ended is (work is not None)
        if work is None:
            return
        assert work.answers(key), "the answer does not wait for the tool"
        code = {"cancel": "cancelled", "expire": "deadline_exceeded"}.get(how, "invalid_argument")
        work.expected, work.started_when_answered = (code, None), work in self.running
        self.interrupted[code] += 1
        self.take_back(work)

    def queued(self) -> list[Work]:
        return [*self.ready, *(work for lane in self.serials.values() for work in lane[1:])]

    def take_back(self, work: Work) -> None:
        if work in self.ready:
            self.ready.remove(work)
            self.leave_lane(work)
        elif work not in self.running:
            self.serials[work.name].remove(work)

    def leave_lane(self, work: Work) -> None:
        lane = self.serials.get(work.name)
        if lane:
            assert lane.pop(0) is work
            self.ready += lane[:1]

    def let_end(self, work: Work) -> None:
        work.open()
        if work.paused:
            if not work.credit and work in self.running:
                self.begun.append(work.number)
            work.credit += 3
            work.grant(3)

    def open_one_by_one(self) -> None:
        """Let everything end, in the model's order."""
        while self.running:
            self.let_end(self.running[0])
            self.the_dispatcher_does_what_the_model_does()

    def open_all(self) -> None:
        """Let everything end: several workers get free at once, in any order."""
        self.in_order = False
        for work in self.works:
            self.let_end(work)

    # -- always -----------------------------------------------------------------------------------

    def advance(self) -> None:
        """The model comes to rest."""
        moving = True
        while moving:
            moving = False
            for work in list(self.running):
                if work.can_end:
                    work.expect_own_end()
                    self.running.remove(work)
                    self.leave_lane(work)
                    moving = True
            while self.ready and len(self.running) < self.pool.max_workers:
                work = self.ready.pop(0)
                self.running.append(work)
                self.ran += 1
                if work.name not in STREAMS or work.credit:
                    self.begun.append(work.number)
                moving = True

    def figures(self) -> dict[str, int]:
        busy, waiting = len(self.running), self.waiting()
        abandoned = sum(work.answered for work in self.running)
        return {
            "busy": busy,
            "queued": waiting,
            "abandoned": abandoned,
            "in_flight": busy + waiting - abandoned,
        }

    def at_rest(self) -> bool:
        health = self.dispatcher.health()
        # a worker that shows no job any more may need a moment until it counts as free
        resting = len(self.pool._idle) == len(self.pool.workers) - len(self.running)
        return resting and self.figures().items() <= health.items()

    @invariant()
    def the_dispatcher_does_what_the_model_does(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.advance()
        wait_until(self.at_rest, "the model's state")
        if self.in_order:
            wait_until(lambda: len(self.starts) >= len(self.begun), "the tools to start")
            assert self.starts == self.begun
        for work in self.works:
            if work.answered:
                work.check_answer()
            else:
                assert not work.answers(work.key)
            if work not in self.running:
                assert work.closed or work.name not in STREAMS or work.number not in self.starts
            elif not work.answered:
                wait_until(lambda key=work.key: self.dispatcher.calls[key].started, "the start")
                if work.name in STREAMS:
                    self.check_items(work)
        for work in self.queued():
            assert work.number not in self.starts
        assert not self.overlapped, "two calls of a serial tool at once"
        assert len(self.pool.workers) <= self.pool.max_workers
        assert self.dispatcher.calls.keys() == {w.key for w in self.works if not w.answered}

    def check_items(self, work: Work) -> None:
        """As many as there is credit for, and no more."""
        count = min(work.credit, work.items)
        wait_until(lambda: len(work.of("item", work.key)) >= count, "the items")
        if work.name == "stream" and not work.paused:
            # it would still notice a cancel on the way there
            wait_until(lambda: work.at_gate, "the end of the stream")
        assert work.of("item", work.key) == list(range(count))

    # -- the end ----------------------------------------------------------------------------------

    def drain(self, patient: bool) -> None:
        """With time for all that is in flight, or with none."""
        unanswered = [work for work in self.works if not work.answered]
        drained: list[bool] = []
        if patient:
            thread = in_thread(lambda: drained.append(self.dispatcher.drain(WAIT_S)))
            wait_until(lambda: self.dispatcher.health()["status"] == "draining")
            self.open_all()
            join(thread)
            assert drained == [True]
        else:
            assert self.dispatcher.drain(0.0) is (not unanswered)
            for work in unanswered:
                answer = work.answer(work.key)
                if work not in self.running and getattr(answer, "code", None) != "unavailable":
                    # its worker was interrupted before it, and so it had time to end by itself
                    assert work.gate.done()
                    work.expect_own_end()
                else:
                    work.expected = ("unavailable", None)
                    work.started_when_answered = True if work in self.running else None
                    self.interrupted["unavailable"] += 1
        self.draining = True
        assert all(work.answers(work.key) for work in unanswered), "it waits for the last answer"
        if not patient:
            self.exact = False  # see above: of those that waited, some may have run
            for work in self.queued():
                self.take_back(work)
            self.open_all()

    def teardown(self) -> None:
        """Everything ends, all workers and lanes are still there, and the figures add up."""
        if not hasattr(self, "bench"):
            return
        if self.end.startswith("drain"):
            self.drain(patient=self.end == "drain patiently")
            for name in TOOLS:
                self.start(self.new_work(0, name, "returns", 0, 1))
        else:
            self.the_dispatcher_does_what_the_model_does()
            self.open_one_by_one()
        self.open_all()
        self.the_dispatcher_does_what_the_model_does()
        assert self.figures()["busy"] == self.figures()["queued"] == 0
        stats = self.dispatcher.stats()
        assert stats["interrupted"] == dict(+self.interrupted)
        if self.exact:
            assert stats["calls"] == self.ran
        together = threading.Barrier(self.pool.max_workers, timeout=WAIT_S)
        probes = [Probe(together, None) for _ in range(self.pool.max_workers)]
        for probe in probes:
            self.pool.submit(probe)
        for probe in probes:
            passed(probe.done)
        wait_until(self.at_rest, "free workers")
        for name in SERIAL:
            probe = Probe(None, self.dispatcher.tools[name].serial)
            self.pool.submit(probe)
            passed(probe.done)
        self.pool.close()


TestCalls = Calls.TestCase
# A failure costs the patience of ``peers``, so there is no search for a smaller one.
TestCalls.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
)
