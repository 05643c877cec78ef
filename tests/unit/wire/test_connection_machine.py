"""connection.py against a plain model: whatever a peer sends, cut anywhere, answered in any order.

Frames are written to a wire first and arrive later, a few bytes or many frames at a time. The
model says for each frame, at the moment when enough of it has arrived, what it must mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.errors import Cancelled, EncodeError, LocalProtocolError
from bridge.testing import describe
from bridge.testing.connection_pair import frame
from bridge.wire import framing
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.connection import CancelReceived, Connection, CreditReceived, Fault
from bridge.wire.events import ItemReceived, ResponseReceived
from bridge.wire.framing import HEADER_BYTES, PREFIX_BYTES
from bridge.wire.messages import CallOptions, Notification, Request, Response
from tests.equality import deep_equal
from tests.strategies import call_options, chunks

ENCODER = Encoder()
#: Ids of every width; few, so that they meet.
IDS = st.sampled_from([7, 200, 300, 70_000, 2**64 - 1])
AMOUNTS = st.integers(0, 1) | st.integers(0, 120) | st.sampled_from([2**32, 2**64 - 1, 2**70])
NO_AMOUNTS = st.sampled_from([-1, -(2**63), -(2**70), 0.0, 1.5, float("nan"), float("inf"), True,
                              None, "1", b"1", [1], {}])  # fmt: skip
PARAMS = st.lists(st.integers() | st.text(max_size=5), max_size=3) | st.dictionaries(
    st.text(max_size=3), st.none(), max_size=2
)
METHODS = st.sampled_from(["tool", "$/ping", "$/cancelRequest", "$/credit", "", "\u00e9"])
#: What may stand behind a good id, and makes the request a bad one.
WRONG_ENDS = [
    [None, []],
    [7, []],
    [b"\xff", []],
    ["tool", None],
    ["tool", "text"],
    ["tool", [], None],
    ["tool", [], []],
    ["tool", [], {"unknown": 1}],
    ["tool", [], {"timeout_ms": -1}],
    ["tool", [], {"timeout_ms": float("nan")}],
    ["tool", [], {"stream": {"items": 1}}],
    ["tool", [], {"stream": {"items": -1, "bytes": 1}}],
    ["tool", [], {"stream": {"items": 1, "bytes": 1.0}}],
]
#: Bytes that are no message and show no id.
RUBBISH = [
    b"",
    b"\xc1",
    b"\x00",
    b"\xc0",
    b"\x90",
    b"\x91\x00",
    b"\x80",
    b"\xdd\xff\xff\xff\xff",
    b"\xd4\x2a\x00",
    b"\x94\x00\xff\xa1a\x90",
    b"\x94\x00\xc3\xa1a\x90",
    b"\x94\x03\x01\xa1a\x90",
    b"\x94\xc2\x01\xa1a\x90",
    b"\x93\x02\xc0\x90",
    b"\x94\x01\x00\xa1a\xc0",
    b"GET / HTTP/1.1\r\n\r\n",
]


@st.composite
def bad_frames(draw: st.DrawFn) -> tuple[bytes, int | None]:
    """The payload of a frame that means nothing but a fault, and the id that it shows, if any."""
    msgid = draw(IDS)
    kind = draw(st.sampled_from(["rubbish", "end", "damage", "cancel", "credit", "tool", "item"]))
    if kind == "rubbish":
        return draw(st.sampled_from(RUBBISH)), None
    if kind == "end":
        return ENCODER.value([0, msgid, *draw(st.sampled_from(WRONG_ENDS))]), msgid
    if kind == "damage":
        return damage(msgid, draw(st.integers(-3, 20)), draw(st.booleans()))
    if kind == "tool":
        # a name that is none of the bridge's: its outcome would have nowhere to go
        method = draw(st.sampled_from(["tool", "", "$", "cancelRequest"]))
        return ENCODER.value([2, method, draw(PARAMS)]), None
    if kind == "item":
        wrong_item = draw(st.sampled_from([[], [1], [1, 2, 3], ["1", 2], [True, 2], {"id": 1}]))
        return ENCODER.value([2, "$/item", wrong_item]), None
    method, *rest = {"cancel": ("$/cancelRequest",), "credit": ("$/credit", 1, 1)}[kind]
    wrong: list[Any] = [
        [],
        [msgid, *rest, 1],
        [str(msgid), *rest],
        [float(msgid), *rest],
        [True, *rest],
        {"id": msgid},
    ]
    return ENCODER.value([2, method, draw(st.sampled_from(wrong))]), None


def damage(msgid: int, missing: int, with_options: bool) -> tuple[bytes, int | None]:
    """A request of which bytes are missing at the end, or has too many; the id, if it shows."""
    payload = ENCODER.request(msgid, "tool", [[1, 2]], {} if with_options else None)
    if missing > 0:
        damaged = payload[: max(0, len(payload) - missing)]
    else:
        damaged = payload + bytes(1 - missing)
    return damaged, msgid if len(damaged) >= 2 + len(ENCODER.value(msgid)) else None


def is_event(event: Any, expected: Any) -> bool:
    """Does an event mean what the model says? Of faults: the id, the code, whose end it is."""
    if isinstance(expected, Request):
        return deep_equal(event, expected)
    if isinstance(event, Fault):
        return (event.msgid, event.error.code, event.in_flight) == expected
    if isinstance(event, ResponseReceived):
        return ("answer", event.msgid, event.error and event.error.code) == expected
    if isinstance(event, ItemReceived):
        return ("item", event.msgid, event.item) == expected
    return isinstance(event, CancelReceived | CreditReceived) and describe(event) == expected


class AnyPeer(RuleBasedStateMachine):
    """One connection, and a peer that keeps to no rule."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = bytearray()
        self.arrived = 0
        #: Frames under way: at which byte of all there is enough of it, and what it then means.
        self.under_way: list[tuple[int, Callable[[], list[Any]]]] = []
        self.written = 0
        #: The model: items and bytes in hand of what is in flight, None if it is no stream.
        self.accounts: dict[int, list[int] | None] = {}
        self.credits: dict[int, Any] = {}
        self.old_credits: list[tuple[int, Any]] = []
        #: Requests of this end: items and bytes of credit that the peer has, None if it is no stream.
        self.asked: dict[int, list[int] | None] = {}
        #: How many responses the peer is owed under each id.
        self.owed: Counter[int] = Counter()

    @initialize(
        read_bytes=st.sampled_from([24, 25, 64, framing.READ_BYTES]),
        limit=st.sampled_from([40, 61, 200]) | st.just(2 * framing.READ_BYTES),
    )
    def connect(self, read_bytes: int, limit: int) -> None:
        # a small buffer, so that every frame may be larger than it
        self.patch = mock.patch.object(framing, "READ_BYTES", read_bytes)
        self.patch.start()
        self.limit, self.read_bytes = limit, read_bytes
        self.connection = Connection(limit)

    # -- the peer writes ----------------------------------------------------------------------

    def put(
        self,
        payload: bytes,
        meaning: Callable[[], list[Any]],
        msgid: int | None = None,
        answers: int | None = None,
    ) -> None:
        """Write a frame; ``msgid`` if it begins like a request, ``answers`` if like a response."""
        enough = len(payload)
        if len(payload) > self.limit:
            meaning = partial(self.refused, "resource_exhausted", msgid)
            if answers is not None:
                meaning = partial(self.answered, answers, "resource_exhausted")
            enough = min(enough, PREFIX_BYTES)
        self.under_way.append((self.written + HEADER_BYTES + enough, meaning))
        self.wire += frame(payload)
        self.written += HEADER_BYTES + len(payload)

    @rule(msgid=IDS, method=METHODS, params=PARAMS, options=st.none() | call_options())
    def write_request(
        self, msgid: int, method: str, params: Any, options: tuple[Any, CallOptions] | None
    ) -> None:
        wire, meant = options or (None, None)
        request = Request(msgid, method, params, meant)
        payload = ENCODER.request(msgid, method, params, wire)
        self.put(payload, partial(self.requested, request), msgid)

    @rule(msgid=IDS, grant=st.just((0, 0)) | st.tuples(AMOUNTS, AMOUNTS))
    def write_stream(self, msgid: int, grant: tuple[int, int]) -> None:
        wire = {"stream": {"items": grant[0], "bytes": grant[1]}}
        request = Request(msgid, "stream", [], CallOptions(credit=grant))
        payload = ENCODER.request(msgid, "stream", [], wire)
        self.put(payload, partial(self.requested, request), msgid)

    @rule(msgid=IDS, of_limit=st.booleans(), offset=st.integers(-6, 6))
    def write_large_request(self, msgid: int, of_limit: bool, offset: int) -> None:
        """A frame about as long as the buffer or the limit."""
        length = (self.limit if of_limit else self.read_bytes) + offset
        empty = len(ENCODER.request(msgid, "large", [b""]))
        data = bytes(max(0, length - empty - (length > 300) - 2 * (length > 70_000)))
        request = Request(msgid, "large", [data])
        payload = ENCODER.request(msgid, "large", [data])
        self.put(payload, partial(self.requested, request), msgid)

    @rule(msgid=IDS)
    def write_cancel(self, msgid: int) -> None:
        payload = ENCODER.notification("$/cancelRequest", [msgid])
        self.put(payload, lambda: [("cancel", msgid)] if msgid in self.accounts else [])

    @rule(data=st.data(), items=AMOUNTS, bytes=AMOUNTS)
    def write_credit(self, data: st.DataObject, items: int, bytes: int) -> None:
        streams = [msgid for msgid, account in self.accounts.items() if account is not None]
        msgid = data.draw(st.sampled_from(streams) | IDS if streams else IDS)
        payload = ENCODER.notification("$/credit", [msgid, items, bytes])
        self.put(payload, partial(self.granted, msgid, items, bytes))

    @rule(msgid=IDS, wrong=NO_AMOUNTS, good=AMOUNTS, in_items=st.booleans())
    def write_wrong_credit(self, msgid: int, wrong: Any, good: int, in_items: bool) -> None:
        amounts = [wrong, good] if in_items else [good, wrong]
        payload = ENCODER.notification("$/credit", [msgid, *amounts])
        # it ends the request, whether that is a stream or not
        fault = (msgid, "invalid_argument", True)
        self.put(payload, lambda: [fault] if msgid in self.accounts else [])

    @rule(bad=bad_frames())
    def write_bad_frame(self, bad: tuple[bytes, int | None]) -> None:
        payload, msgid = bad
        self.put(payload, partial(self.refused, "invalid_argument", msgid), msgid)

    @rule(method=st.sampled_from(["$/", "$/future", "$/items", "$/ping"]), params=PARAMS)
    def write_unknown_notification(self, method: str, params: Any) -> None:
        self.put(ENCODER.value([2, method, params]), list)

    def asked_or_not(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.asked)) | IDS if self.asked else IDS)

    @rule(
        data=st.data(),
        code=st.sampled_from([None, "internal", "cancelled"]),
        size=st.integers(0, 90),
    )
    def write_answer(self, data: st.DataObject, code: str | None, size: int) -> None:
        """Of a request of this end, or of none; it may be too long."""
        msgid = self.asked_or_not(data)
        error = None if code is None else {"code": code, "message": "m" * size}
        payload = ENCODER.value([1, msgid, error, "r" * size if code is None else None])
        self.put(payload, partial(self.answered, msgid, code), answers=msgid)

    @rule(data=st.data(), wrong=st.sampled_from([7, "text", [], True]))
    def write_wrong_answer(self, data: st.DataObject, wrong: Any) -> None:
        """It ends the request all the same."""
        msgid = self.asked_or_not(data)
        payload = ENCODER.value([1, msgid, wrong, None])
        self.put(payload, partial(self.answered, msgid, "invalid_argument"), answers=msgid)

    @rule(data=st.data(), item=st.text(max_size=30))
    def write_item(self, data: st.DataObject, item: str) -> None:
        msgid = self.asked_or_not(data)
        payload = ENCODER.item(msgid, item)
        self.put(bytes(payload), partial(self.item_came, msgid, item, len(payload)))

    # -- what it means when it arrives ----------------------------------------------------------

    def requested(self, request: Request) -> list[Any]:
        if request.msgid in self.accounts:
            return [(None, "already_exists", False)]
        grant = request.options and request.options.credit
        self.accounts[request.msgid] = list(grant) if grant else None
        self.owed[request.msgid] += 1
        return [request]

    def answered(self, msgid: int, code: str | None) -> list[Any]:
        if msgid not in self.asked:
            too_large = code == "resource_exhausted"
            return [(None, "resource_exhausted" if too_large else "invalid_argument", False)]
        del self.asked[msgid]
        return [("answer", msgid, code)]

    def item_came(self, msgid: int, item: str, size: int) -> list[Any]:
        if msgid not in self.asked:
            return []
        account = self.asked[msgid]
        if account is None or min(account) <= 0:
            return [(None, "invalid_argument", False)]
        account[0] -= 1
        account[1] -= size
        return [("item", msgid, item)]

    def granted(self, msgid: int, items: int, bytes: int) -> list[Any]:
        account = self.accounts.get(msgid)
        if account is None:
            return []
        account[0] += items
        account[1] += bytes
        return [("credit", msgid)]

    def refused(self, code: str, msgid: int | None = None) -> list[Any]:
        if msgid in self.accounts:
            # an answer under this id would end the request in flight
            return [(None, "already_exists", False)]
        if msgid is not None:
            self.owed[msgid] += 1
        return [(msgid, code, False)]

    @precondition(lambda self: self.wire)
    @rule(one_by_one=st.booleans())
    def all_arrives(self, one_by_one: bool) -> None:
        self.arrive(None, one_by_one)

    @precondition(lambda self: self.wire)
    @rule(size=st.integers(1, 300), one_by_one=st.booleans())
    def arrive(self, size: int | None, one_by_one: bool) -> None:
        """Bytes arrive: ``size``, or all that are under way."""
        size = min(len(self.wire), size or len(self.wire))
        data = bytes(self.wire[:size])
        del self.wire[:size]
        self.arrived += size
        expected: list[Any] = []
        while self.under_way and self.under_way[0][0] <= self.arrived:
            expected += self.under_way.pop(0)[1]()
        step = 1 if one_by_one and size < 2000 else size
        events = [
            event
            for start in range(0, size, step)
            for event in self.connection.receive_data(data[start : start + step])
        ]
        assert len(events) == len(expected), (list(map(describe, events)), expected)
        for event, meant in zip(events, expected, strict=True):
            assert is_event(event, meant), (describe(event), meant)
        for msgid in self.accounts.keys() - self.credits.keys():
            self.credits[msgid] = self.connection.credit(msgid)
        for event in events:
            if isinstance(event, Fault):
                self.answer_fault(event)

    def answer_fault(self, fault: Fault) -> None:
        if not fault.in_flight:
            answer = decode_message(self.connection.fault(ENCODER, fault))
            if fault.msgid is None:
                assert isinstance(answer, Notification)
                assert answer.method == "$/error"
                assert answer.params[0]["code"] == fault.error.code
            else:
                self.count(answer, fault.msgid, fault.error.code)
        elif fault.msgid in self.accounts:  # otherwise an earlier fault has ended it
            data = self.connection.error(ENCODER, fault.msgid, fault.error)
            self.count(decode_message(data), fault.msgid, fault.error.code)
            self.forget(fault.msgid)

    # -- the bridge asks ------------------------------------------------------------------------

    @rule(grant=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 60)))
    def ask(self, grant: tuple[int, int] | None) -> None:
        options = {} if grant is None else {"stream": {"items": grant[0], "bytes": grant[1]}}
        msgid, data = self.connection.requester.request(ENCODER, "function", [1], options)
        request = decode_message(data)
        assert isinstance(request, Request)
        assert (request.msgid, request.method, request.params) == (msgid, "function", [1])
        assert msgid not in self.asked
        self.asked[msgid] = None if grant is None else list(grant)

    @rule(data=st.data(), items=st.integers(0, 3), size=st.integers(0, 60))
    def give_credit(self, data: st.DataObject, items: int, size: int) -> None:
        msgid = self.asked_or_not(data)
        message = self.connection.requester.grant(ENCODER, msgid, items, size)
        account = self.asked.get(msgid)
        assert (message is None) is (account is None)
        if account is not None:
            account[0] += items
            account[1] += size

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """It changes nothing here: the answer is still to come."""
        msgid = self.asked_or_not(data)
        message = self.connection.requester.cancel(ENCODER, msgid)
        assert (message is None) is (msgid not in self.asked)

    # -- the bridge writes ----------------------------------------------------------------------

    def count(self, answer: Any, msgid: int, code: str | None) -> None:
        assert isinstance(answer, Response)
        assert (answer.msgid, answer.error and answer.error["code"]) == (msgid, code)
        assert (answer.result is None) or code is None
        self.owed[msgid] -= 1
        assert self.owed[msgid] >= 0, "an answer to nothing"

    def forget(self, msgid: int) -> None:
        del self.accounts[msgid]
        credit = self.credits.pop(msgid)
        if credit is not None:
            self.old_credits.append((msgid, credit))

    def reply(self, msgid: int, failed: bool) -> None:
        if failed:
            data = self.connection.error(ENCODER, msgid, Cancelled("stop"))
        else:
            data = self.connection.result(ENCODER, msgid, [msgid])
        self.count(decode_message(data), msgid, "cancelled" if failed else None)
        self.forget(msgid)

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), failed=st.booleans())
    def answer(self, data: st.DataObject, failed: bool) -> None:
        self.reply(data.draw(st.sampled_from(sorted(self.accounts))), failed)

    @rule(msgid=IDS, failed=st.booleans())
    def answer_anything(self, msgid: int, failed: bool) -> None:
        if msgid in self.accounts:
            self.reply(msgid, failed)
            return
        with pytest.raises(LocalProtocolError):
            self.reply(msgid, failed)

    @precondition(lambda self: self.accounts)
    @rule(data=st.data())
    def answer_without_a_form(self, data: st.DataObject) -> None:
        """The request is still in flight afterwards."""
        with pytest.raises(EncodeError):
            self.connection.result(
                ENCODER, data.draw(st.sampled_from(sorted(self.accounts))), object()
            )

    @precondition(lambda self: any(self.credits.values()))
    @rule(data=st.data(), item=st.text(max_size=60), count=st.integers(1, 4))
    def send_items(self, data: st.DataObject, item: str, count: int) -> None:
        streams = [msgid for msgid, credit in self.credits.items() if credit]
        msgid = data.draw(st.sampled_from(streams))
        account, credit = self.accounts[msgid], self.credits[msgid]
        assert account is not None
        for _ in range(count):
            if min(account) <= 0:
                with pytest.raises(LocalProtocolError):
                    self.connection.item(ENCODER, msgid, credit, item)
                return
            payload = self.connection.item(ENCODER, msgid, credit, item)
            assert decode_message(payload) == Notification("$/item", [msgid, item])
            account[0] -= 1
            account[1] -= len(payload)

    @precondition(lambda self: any(self.credits.values()))
    @rule(data=st.data())
    def send_item_without_a_form(self, data: st.DataObject) -> None:
        """It takes no credit; ``the_model_agrees`` looks."""
        streams = [msgid for msgid, credit in self.credits.items() if credit]
        msgid = data.draw(st.sampled_from(streams))
        with pytest.raises(EncodeError):
            self.connection.item(ENCODER, msgid, self.credits[msgid], object())

    @precondition(lambda self: self.old_credits)
    @rule(data=st.data())
    def send_stale_item(self, data: st.DataObject) -> None:
        """A worker that has not noticed the end of its stream, whose id may be in use again."""
        msgid, credit = data.draw(st.sampled_from(self.old_credits))
        with pytest.raises(LocalProtocolError):
            self.connection.item(ENCODER, msgid, credit, "stale")

    @precondition(lambda self: any(self.credits.values()))
    @rule(data=st.data())
    def use_the_id_of_a_stream_again(self, data: st.DataObject) -> None:
        """The worker of the first one has credit left, but not for the second one."""
        msgid = data.draw(st.sampled_from([msgid for msgid, old in self.credits.items() if old]))
        old = self.credits[msgid]
        self.reply(msgid, True)
        self.write_stream(msgid, (3, 300))
        self.arrive(None, False)
        with pytest.raises(LocalProtocolError):
            self.connection.item(ENCODER, msgid, old, "stale")

    @rule()
    def drain(self) -> None:
        """It changes nothing for what is in flight, nor for what arrives."""
        self.connection.drain()

    # -- always -----------------------------------------------------------------------------------

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "connection"):
            return
        assert f", {len(self.accounts)} in flight>" in repr(self.connection)
        assert len(self.connection.requester) == len(self.asked)
        for msgid, account in self.accounts.items():
            assert self.owed[msgid] == 1
            credit = self.connection.credit(msgid)
            assert credit is self.credits[msgid]
            assert (credit is None) == (account is None)
            if credit is not None and account is not None:
                assert credit.available == (min(account) > 0)
                assert credit.granted_items - credit.spent_items == account[0]
                assert credit.granted_bytes - credit.spent_bytes == account[1]

    def teardown(self) -> None:
        """In the end everything has arrived, and has been answered once."""
        if not hasattr(self, "connection"):
            return
        try:
            if self.wire:
                self.arrive(None, False)
            assert not self.under_way
            for msgid in list(self.accounts):
                self.reply(msgid, False)
            assert not +self.owed, "somebody waits for an answer"
            self.the_model_agrees()
            self.connection.close()
        finally:
            self.patch.stop()


TestAnyPeer = AnyPeer.TestCase
TestAnyPeer.settings = settings(max_examples=60, stateful_step_count=40)


# -- a fault takes nothing else with it -------------------------------------------------------------


GOOD = st.one_of(
    st.builds(lambda msgid, params: ENCODER.request(msgid, "tool", params), IDS, PARAMS),
    st.builds(
        lambda msgid, grant: ENCODER.request(
            msgid, "tool", [], {"stream": {"items": grant[0], "bytes": grant[1]}}
        ),
        IDS,
        st.tuples(AMOUNTS, AMOUNTS),
    ),
    st.builds(lambda msgid: ENCODER.notification("$/cancelRequest", [msgid]), IDS),
    st.builds(lambda msgid: ENCODER.notification("$/credit", [msgid, 5, 500]), IDS),
    st.just(ENCODER.notification("$/future", [])),
)
BAD = st.one_of(
    st.sampled_from(RUBBISH),
    st.builds(lambda msgid, end: ENCODER.value([0, msgid, *end]), IDS, st.sampled_from(WRONG_ENDS)),
    GOOD.flatmap(lambda good: st.integers(0, len(good) - 1).map(lambda cut: good[:cut])),
    st.builds(lambda good, more: good + more, GOOD, st.binary(min_size=1, max_size=4)),
    st.builds(lambda msgid: ENCODER.request(msgid, "long", [bytes(200)]), IDS),
    st.builds(lambda: ENCODER.notification("$/long", [bytes(200)])),
)


@given(st.lists(st.tuples(st.booleans(), GOOD, BAD), max_size=10), st.data())
def test_bad_frames_change_nothing_for_good_ones(
    sent: list[tuple[bool, bytes, bytes]], data: st.DataObject
) -> None:
    """One fault each, and otherwise the same events as without them."""
    payloads = [good if is_good else bad for is_good, good, bad in sent]
    undisturbed = Connection(150)
    expected: list[Any] = []
    for is_good, good, _ in sent:
        events = undisturbed.receive_data(frame(good)) if is_good else ["a fault"]
        expected += map(describe, events)
    connection = Connection(150)
    stream = b"".join(map(frame, payloads))
    events = [
        describe(event)
        for part in data.draw(chunks(stream))
        for event in connection.receive_data(part)
    ]
    assert len(events) == len(expected)
    for event, meant in zip(events, expected, strict=True):
        if meant == "a fault":
            assert event[0] == "fault"
            assert not event[4], "it ends a request in flight"
        else:
            assert deep_equal(event, meant)
    assert repr(connection) == repr(undisturbed)
