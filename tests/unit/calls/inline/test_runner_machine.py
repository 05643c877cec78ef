"""Quick tools on the thread that reads, some of which suddenly hang: nothing may be lost by it.

A real ``StdioReader`` over pipes, in this process. After each step everything must be answered
but the calls that hang, and a ping must come back; at the end each request has one response.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import tool
from bridge.calls.inline.runner import InlineRunner
from bridge.calls.latency import QUICK
from bridge.testing.connection_pair import frame
from bridge.transports.stdio.channel import Channel
from bridge.transports.stdio.peer import StdioPeer
from bridge.transports.stdio.reader import StdioReader
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.connection import Connection
from bridge.wire.framing import HEADER_BYTES
from bridge.wire.messages import Request, Response
from tests.tool_bench import Bench
from tests.waiting import WAIT_S, in_thread, join, passed, wait_until

ENCODER = Encoder()
TOOLS = ("first", "second", "third")
#: More calls than this never hang at once, so that a worker is free for the others.
MOST_HANGING = 3


class Hang:
    """What a call that hangs waits for."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.begun.set()
        passed(self.gate)


class Bridge:
    """A transport that serves three tools over pipes, and the peer at the other end of them."""

    def __init__(self) -> None:
        self.hangs: dict[int, Hang] = {}
        self.runs: list[int] = []
        source, self.to_bridge = os.pipe()
        self.from_bridge, sink = os.pipe()
        self.ends = [self.from_bridge, sink]
        self.gone = threading.Event()
        channel = Channel(sink, Connection(1 << 20), self.gone.set)
        self.bench = Bench(
            *map(self.make_tool, TOOLS), max_workers=MOST_HANGING + 2, output=channel.writer
        )
        self.dispatcher = self.bench.dispatcher
        self.reader = StdioReader(
            source,
            channel,
            StdioPeer(channel),
            self.dispatcher,
            gone=self.gone.set,
            shutdown=lambda: None,
            inline=True,
        )
        self.responses: dict[int, list[Response]] = {}
        self.changed = threading.Condition()
        self.reader.start()
        self.receiver = in_thread(self.receive)
        self.last_id = 0

    def make_tool(self, name: str) -> Callable[[int], int]:
        def quick(number: int) -> int:
            self.runs.append(number)
            hang = self.hangs.get(number)
            if hang is not None:
                hang.wait()
            return number

        quick.__name__ = name
        return tool(quick)

    def receive(self) -> None:
        with open(self.from_bridge, "rb", closefd=False) as pipe:
            while header := pipe.read(HEADER_BYTES):
                message = decode_message(pipe.read(int.from_bytes(header, "big")))
                assert isinstance(message, Response)
                with self.changed:
                    self.responses.setdefault(message.msgid, []).append(message)
                    self.changed.notify_all()
                if message.result == "the end":
                    return

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def send(self, *payloads: bytes, cut: int = 0) -> None:
        """All in one write, so that they are read together; or in two, cut there."""
        data = b"".join(map(frame, payloads))
        for part in (data[:cut], data[cut:]):
            if part:
                os.write(self.to_bridge, part)

    def response(self, msgid: int) -> Response:
        """The one response, which may be on its way."""
        with self.changed:
            came = self.changed.wait_for(lambda: msgid in self.responses, WAIT_S)
            assert came, f"request {msgid} was not answered"
            (response,) = self.responses[msgid]
        return response

    def ping(self, value: Any = None) -> None:
        msgid = self.new_id()
        self.send(ENCODER.request(msgid, "$/ping", [value]))
        assert self.response(msgid).result == value

    def prove(self) -> None:
        """All tools have proven quick (again)."""
        for served in self.dispatcher.tools.values():
            served.latency.state = QUICK

    def call(self, name: str, **options: Any) -> tuple[int, bytes]:
        """The id and the payload of a call that returns its id."""
        msgid = self.new_id()
        return msgid, ENCODER.request(msgid, name, [msgid], options or None)

    def close(self) -> None:
        """The peer goes; the reader must notice it."""
        for hang in self.hangs.values():
            hang.gate.set()
        self.ping("the end")
        join(self.receiver)
        os.close(self.to_bridge)
        passed(self.gone)
        self.reader.close()
        self.bench.pool.close()
        for descriptor in self.ends:
            os.close(descriptor)


class QuickTools(RuleBasedStateMachine):
    """Batches of quick calls, hanging ones among them, cancels and pings."""

    @initialize()
    def connect(self) -> None:
        self.bridge = Bridge()
        self.hanging: list[int] = []
        self.calls = 0

    @rule(
        batch=st.lists(
            st.tuples(
                st.sampled_from(TOOLS), st.sampled_from(["", "", "", "hang", "ping", "late"])
            ),
            min_size=1,
            max_size=12,
        ),
        proven=st.sampled_from([True, True, True, False]),
        cut=st.just(0) | st.integers(1, 40),
    )
    def send_batch(self, batch: list[tuple[str, str]], proven: bool, cut: int) -> None:
        """``late``: it hangs, and has a deadline."""
        bridge, payloads, quick, late = self.bridge, [], [], []
        if proven:
            bridge.prove()
        for name, kind in batch:
            hangs = kind in ("hang", "late") and len(self.hanging) < MOST_HANGING
            if kind == "ping":
                msgid = bridge.new_id()
                payload = ENCODER.request(msgid, "$/ping", [msgid])
            else:
                msgid, payload = bridge.call(name, **({"timeout_ms": 20} if hangs and kind == "late" else {}))  # fmt: skip
                self.calls += 1
            payloads.append(payload)
            if hangs:
                bridge.hangs[msgid] = Hang()
                self.hanging.append(msgid)
                if kind == "late":
                    late.append(msgid)
            else:
                quick.append(msgid)
        bridge.send(*payloads, cut=cut)
        for msgid in quick:
            assert bridge.response(msgid).result == msgid
        for msgid in late:
            error = bridge.response(msgid).error
            assert error is not None
            assert error["code"] == "deadline_exceeded"
            if msgid not in bridge.runs:
                # it waited too long for a worker, which may find it answered just now
                bridge.hangs[msgid].gate.set()
                self.hanging.remove(msgid)
        for msgid in self.hanging:
            passed(bridge.hangs[msgid].begun)

    @precondition(lambda self: self.hanging)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        msgid = data.draw(st.sampled_from(self.hanging))
        self.hanging.remove(msgid)
        self.bridge.hangs[msgid].gate.set()
        response = self.bridge.response(msgid)
        assert response.result == msgid or response.error

    @precondition(lambda self: self.hanging)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """It is answered though it goes on, unless it was answered before."""
        msgid = data.draw(st.sampled_from(self.hanging))
        self.bridge.ping()  # by then another thread reads, and the call is known
        self.bridge.send(ENCODER.notification("$/cancelRequest", [msgid]))
        error = self.bridge.response(msgid).error
        assert error is not None
        assert error["code"] in ("cancelled", "deadline_exceeded")
        assert error["started"] is True

    @precondition(lambda self: self.bridge.last_id)
    @rule(data=st.data())
    def cancel_what_has_ended(self, data: st.DataObject) -> None:
        msgid = data.draw(st.integers(1, self.bridge.last_id))
        if msgid not in self.hanging:
            self.bridge.send(ENCODER.notification("$/cancelRequest", [msgid]))

    @invariant()
    def pings_come_back(self) -> None:
        if hasattr(self, "bridge"):
            self.bridge.ping()

    def teardown(self) -> None:
        """All is answered once and counted, and the end of file is seen."""
        if not hasattr(self, "bridge"):
            return
        bridge = self.bridge
        while self.hanging:
            msgid = self.hanging.pop()
            bridge.hangs[msgid].gate.set()
            bridge.response(msgid)
        bridge.close()
        wait_until(lambda: bridge.dispatcher.wait_until_idle(0.0), "idle threads")
        assert bridge.responses.keys() == set(range(1, bridge.last_id + 1))
        assert all(len(responses) == 1 for responses in bridge.responses.values())
        assert not bridge.dispatcher.calls
        assert len(bridge.runs) == len(set(bridge.runs)), "a call ran twice"
        # a late one need not have begun
        assert bridge.dispatcher.stats()["calls"] == len(bridge.runs) <= self.calls


TestQuickTools = QuickTools.TestCase
# A failure costs the patience of ``peers``, so there is no search for a smaller one.
TestQuickTools.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
)


def test_what_was_done_before_one_that_hangs_is_answered_meanwhile() -> None:
    """The thread that did it cannot write the answers any more."""
    bridge = Bridge()
    bridge.prove()
    (done, first), (stuck, second) = bridge.call("first"), bridge.call("second")
    hang = bridge.hangs[stuck] = Hang()
    bridge.send(first, second)
    assert bridge.response(done).result == done
    assert stuck not in bridge.responses
    hang.gate.set()
    assert bridge.response(stuck).result == stuck
    bridge.close()


def test_two_that_hang_at_once_hold_nobody_up() -> None:
    """The first one holds up a thread that reads, and the second one must not the other."""
    bridge = Bridge()
    watchdog = bridge.reader._watchdog
    wait_until(lambda: watchdog._asleep, "the thread that stands by to sleep, as there is no work")
    bridge.prove()
    ids = []
    for name in ("first", "second", "third"):
        msgid, payload = bridge.call(name)
        hang = bridge.hangs[msgid] = Hang()
        bridge.send(payload)
        passed(hang.begun)
        ids.append(msgid)
        bridge.ping("who reads?")
    for msgid in ids:
        bridge.hangs[msgid].gate.set()
        assert bridge.response(msgid).result == msgid
    bridge.close()


class LostJustNow:
    """A watchdog that takes over between the look at it and the call that begins then."""

    looks = 0

    @property
    def term(self) -> int:
        self.looks += 1
        return min(self.looks, 2)

    def watch(self, term: int, now: float) -> bool:
        return True


def test_a_call_that_begins_while_the_role_is_lost_can_be_cancelled() -> None:
    """Who has taken over looked for it before it was there."""
    hang = Hang()
    bench = Bench(tool(name="hangs")(lambda: hang.wait()))
    quick = InlineRunner(bench.dispatcher, bench.peer, "test-reader")
    batch = deque([(Request(1, "hangs", []), bench.dispatcher.tools["hangs"])])
    thread = in_thread(quick.run, batch, LostJustNow(), 1)
    passed(hang.begun)
    assert bench.dispatcher.cancel(1)
    assert bench.error(1).code == "cancelled"
    hang.gate.set()
    join(thread)
    assert len(bench.peer.answers(1)) == 1
