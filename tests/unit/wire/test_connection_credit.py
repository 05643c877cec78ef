"""connection.py, streams: what credit allows, and a machine that tries everything in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.errors import Cancelled, EncodeError, LocalProtocolError
from bridge.testing import ConnectionPair, describe
from bridge.wire.codec import Encoder
from bridge.wire.credit import Credit
from bridge.wire.messages import CallOptions, Notification, Request, Response


@pytest.fixture
def pair() -> ConnectionPair:
    return ConnectionPair()


def size_of_item(msgid: int, value: Any) -> int:
    """What an item takes from the account of bytes: its message, without the header."""
    return len(Encoder().notification("$/item", [msgid, value]))


def test_a_call_without_the_option_has_no_credit(pair: ConnectionPair) -> None:
    pair.request(1)
    assert pair.connection.credit(1) is None
    with pytest.raises(LocalProtocolError, match="not a stream in flight"):
        pair.item(1, None)


def test_the_request_grants_the_first_credit(pair: ConnectionPair) -> None:
    (request,) = pair.request(1, stream={"items": 2, "bytes": 1000})
    assert request.options == CallOptions(credit=(2, 1000))
    credit = pair.connection.credit(1)
    for item in ("first", "second"):
        assert credit.available
        assert pair.item(1, credit, item) == Notification("$/item", [1, item])
    assert not credit.available
    with pytest.raises(LocalProtocolError, match="beyond the peer's credit"):
        pair.item(1, credit, "third")


@pytest.mark.parametrize(("items", "bytes"), [(0, 0), (0, 1000), (5, 0)])
def test_both_accounts_must_be_above_zero(pair: ConnectionPair, items: int, bytes: int) -> None:
    credit = pair.stream(1, items, bytes)
    assert not credit.available
    pair.notify("$/credit", 1, 1 if not items else 0, 1 if not bytes else 0)
    assert credit.available


def test_bytes_may_fall_below_zero_once(pair: ConnectionPair) -> None:
    """An item larger than the whole window can be sent; the debt is paid before the next one."""
    credit = pair.stream(1, 10, 1)
    pair.item(1, credit, "x" * 500)
    debt = size_of_item(1, "x" * 500) - 1
    pair.notify("$/credit", 1, 0, debt)
    assert not credit.available, "the account is at zero, not above"
    pair.notify("$/credit", 1, 0, 1)
    assert credit.available


def test_credit_is_added_and_reported(pair: ConnectionPair) -> None:
    credit = pair.stream(1, 0, 0)
    assert list(map(describe, pair.notify("$/credit", 1, 2, 100))) == [("credit", 1)]
    assert list(map(describe, pair.notify("$/credit", 1, 0, 0))) == [("credit", 1)]
    assert (credit.granted_items, credit.granted_bytes) == (2, 100)


def test_credit_for_nobody_is_ignored(pair: ConnectionPair) -> None:
    """The stream may just have ended; a call that is no stream has no account."""
    pair.request(1)
    assert pair.notify("$/credit", 1, 1, 1) == []
    assert pair.notify("$/credit", 2, 1, 1) == []
    assert pair.notify("$/credit", 2, -1, "x") == []


@pytest.mark.parametrize(
    "grant", [(-1, 1), (1, -1), (-(2**70), 1), (1, -(10**5000)), (True, 1), (1.0, 1), (None, None)]
)
def test_wrong_credit_ends_the_stream(pair: ConnectionPair, grant: tuple[Any, Any]) -> None:
    """It is a fault of that request, which must now be answered with it."""
    credit = pair.stream(1, 1, 100)
    (fault,) = pair.notify("$/credit", 1, *grant)
    assert (fault.msgid, fault.error.code, fault.in_flight) == (1, "invalid_argument", True)
    assert (credit.granted_items, credit.granted_bytes) == (1, 100)
    assert pair.error(1, fault.error).error["code"] == "invalid_argument"


def test_an_item_without_a_form_takes_no_credit(pair: ConnectionPair) -> None:
    credit = pair.stream(1, 1, 100)
    with pytest.raises(EncodeError, match=r"item\[0\] cannot be encoded"):
        pair.item(1, credit, [object()])
    assert pair.item(1, credit, "good") == Notification("$/item", [1, "good"])


def test_no_item_follows_the_response(pair: ConnectionPair) -> None:
    credit = pair.stream(1, 5, 1000)
    pair.result(1)
    with pytest.raises(LocalProtocolError):
        pair.item(1, credit)


def test_no_item_enters_the_next_stream_of_the_same_id(pair: ConnectionPair) -> None:
    """A worker that has not noticed the end of its stream still holds the old credit."""
    old = pair.stream(1, 5, 1000)
    pair.error(1, Cancelled("stop"))
    new = pair.stream(1, 5, 1000)
    with pytest.raises(LocalProtocolError):
        pair.item(1, old, "stale")
    assert pair.item(1, new, "fresh") == Notification("$/item", [1, "fresh"])
    assert (new.spent_items, old.spent_items) == (1, 0)


@given(
    st.tuples(st.integers(0, 5), st.integers(0, 200)),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)) | st.integers(1, 150)),
)
def test_the_accounts_add_up(first: tuple[int, int], steps: list[Any]) -> None:
    """A tuple grants, a number is the size of an item."""
    credit = Credit(*first)
    items, room = first
    for step in steps:
        if isinstance(step, tuple):
            credit.grant(*step)
            items, room = items + step[0], room + step[1]
        elif items > 0 and room > 0:
            credit.spend(step)
            items, room = items - 1, room - step
        else:
            with pytest.raises(LocalProtocolError):
                credit.spend(step)
        assert credit.available == (items > 0 and room > 0)


IDS = st.integers(0, 3)
AMOUNTS = st.integers(0, 60)


class OneConnection(RuleBasedStateMachine):
    """Requests, cancels, credit, items and replies in any order, beside a model of dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = ConnectionPair()
        self.accounts: dict[int, list[int] | None] = {}  # the model: what is in flight
        self.credits: dict[int, Any] = {}
        self.old_credits: list[tuple[int, Any]] = []

    @rule(msgid=IDS, grant=st.none() | st.tuples(AMOUNTS, AMOUNTS))
    def request(self, msgid: int, grant: tuple[int, int] | None) -> None:
        options = {"stream": {"items": grant[0], "bytes": grant[1]}} if grant else {}
        (event,) = self.pair.request(msgid, **options)
        if msgid in self.accounts:
            assert describe(event)[:3] == ("fault", None, "already_exists")
            return
        assert isinstance(event, Request)
        self.accounts[msgid] = list(grant) if grant else None
        self.credits[msgid] = self.pair.connection.credit(msgid)

    @rule(msgid=IDS)
    def cancel(self, msgid: int) -> None:
        events = list(map(describe, self.pair.notify("$/cancelRequest", msgid)))
        assert events == ([("cancel", msgid)] if msgid in self.accounts else [])

    @rule(msgid=IDS, items=AMOUNTS, bytes=AMOUNTS)
    def grant(self, msgid: int, items: int, bytes: int) -> None:
        events = list(map(describe, self.pair.notify("$/credit", msgid, items, bytes)))
        account = self.accounts.get(msgid)
        assert events == ([("credit", msgid)] if account else [])
        if account:
            account[0] += items
            account[1] += bytes

    @rule(msgid=IDS, size=st.integers(0, 40))
    def item(self, msgid: int, size: int) -> None:
        account, credit = self.accounts.get(msgid), self.credits.get(msgid)
        if account and min(account) > 0:
            sent = self.pair.item(msgid, credit, "x" * size)
            assert sent == Notification("$/item", [msgid, "x" * size])
            account[0] -= 1
            account[1] -= size_of_item(msgid, "x" * size)
        else:
            with pytest.raises(LocalProtocolError):
                self.pair.item(msgid, credit, "x" * size)

    @precondition(lambda self: self.old_credits)
    @rule(data=st.data())
    def stale_item(self, data: st.DataObject) -> None:
        msgid, credit = data.draw(st.sampled_from(self.old_credits))
        with pytest.raises(LocalProtocolError):
            self.pair.item(msgid, credit)

    @rule(msgid=IDS, failed=st.booleans())
    def reply(self, msgid: int, failed: bool) -> None:
        if msgid not in self.accounts:
            with pytest.raises(LocalProtocolError):
                self.pair.result(msgid)
            return
        if failed:
            assert self.pair.error(msgid, Cancelled("stop")).error["code"] == "cancelled"
        else:
            assert self.pair.result(msgid, [msgid]) == Response(msgid, None, [msgid])
        del self.accounts[msgid]
        credit = self.credits.pop(msgid)
        if credit:
            self.old_credits.append((msgid, credit))

    @rule(garbage=st.sampled_from([b"", b"\xc1", b"\x94\x00\x01\xc1", b"\x94\x00\x02\xa1a\xc0"]))
    def garbage(self, garbage: bytes) -> None:
        (event,) = map(describe, self.pair.send(garbage))
        msgid = garbage[2] if len(garbage) > 2 else None
        if msgid in self.accounts:
            assert event[:3] == ("fault", None, "already_exists")
        else:
            assert event[:3] == ("fault", msgid, "invalid_argument")

    @invariant()
    def the_model_agrees(self) -> None:
        assert repr(self.pair.connection) == f"<Connection open, {len(self.accounts)} in flight>"
        for msgid, account in self.accounts.items():
            credit = self.pair.connection.credit(msgid)
            assert (credit is None) == (account is None)
            if account:
                assert credit is self.credits[msgid]
                assert credit.available == (min(account) > 0)
                assert credit.granted_items - credit.spent_items == account[0]
                assert credit.granted_bytes - credit.spent_bytes == account[1]


TestOneConnection = OneConnection.TestCase
TestOneConnection.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
