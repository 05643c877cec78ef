"""The target ``connection``: does it know what is in flight, whatever arrives?"""

from __future__ import annotations

from random import Random
from typing import Any

from bridge.errors import CallError, LocalProtocolError, RemoteProtocolError
from bridge.testing import describe
from bridge.wire.codec import Encoder, decode_message
from bridge.wire.connection import CancelReceived, Connection, CreditReceived, Fault, HelloReceived
from bridge.wire.framing import encode_header
from bridge.wire.messages import Notification, Request, Response

from .rules import expected_of_notification, rule, small_buffers

#: The connection under test takes no longer messages: so that short inputs can be too long.
_LIMIT = 300


def keep_books(data: bytes) -> None:
    """A connection under any frames, with answers in between, knows what is in flight.

    The bytes are steps. One byte says what happens, the next how long what follows is.
    """
    book = Book()
    at = 0
    with small_buffers():
        while at + 2 <= len(data):
            action, size = data[at], data[at + 1]
            payload = data[at + 2 : at + 2 + size]
            at += 2 + size
            if action < 160:
                book.receive(payload, action)
            elif action < 170:
                book.receive(payload * 16, action)  # sometimes beyond the limit
            else:
                book.answer(action)
        book.close()


class Book:
    """Two connections that get the same bytes, differently cut, and what must be in flight."""

    def __init__(self) -> None:
        self.whole, self.cut = Connection(_LIMIT), Connection(_LIMIT)
        self.encoder = Encoder()
        self.in_flight: dict[int, Request] = {}
        self.next_probe = 2**63

    def receive(self, payload: bytes, seed: int) -> None:
        """A frame arrives, and behind it a request that nobody could misunderstand."""
        expected = self._expected_events(payload)
        events = self._feed(payload, seed)
        rule(len(events) == expected, "so many events:", len(events), "not", expected, payload)
        for event in events:
            self._book(event)
        self.next_probe += 1
        probe = self._feed(self.encoder.request(self.next_probe, "probe", [payload[:40]]), seed)
        understood = probe == [Request(self.next_probe, "probe", [payload[:40]])]
        if not understood and self.next_probe in self.in_flight:
            return  # a frame has guessed the id
        rule(understood, "a good request was not understood after", payload, probe)
        self.whole.result(self.encoder, self.next_probe, None)
        self.cut.result(self.encoder, self.next_probe, None)

    def answer(self, choice: int) -> None:
        """Something is sent for a request that is in flight, if there is one."""
        if not self.in_flight:
            return
        msgid = list(self.in_flight)[choice % len(self.in_flight)]
        for connection in (self.whole, self.cut):
            credit = connection.credit(msgid)
            if choice % 3 == 0 and credit is not None and credit.available:
                connection.item(self.encoder, msgid, credit, [choice])
            elif choice % 2:
                connection.result(self.encoder, msgid, choice)
            else:
                connection.error(self.encoder, msgid, CallError("so"))
        if self.whole.credit(msgid) is None or choice % 3 or not self._is_in_flight(msgid):
            self._ended(msgid)

    def close(self) -> None:
        """At the end everything in flight is answered, once."""
        for msgid in list(self.in_flight):
            rule(self._is_in_flight(msgid), "not in flight any more:", msgid)
            self.whole.error(self.encoder, msgid, CallError("the end"))
            self.cut.error(self.encoder, msgid, CallError("the end"))
            self._ended(msgid)
        rule("0 in flight" in repr(self.whole), "something is left", self.whole)

    def _ended(self, msgid: int) -> None:
        if self._is_in_flight(msgid):
            return
        self.in_flight.pop(msgid)
        for connection in (self.whole, self.cut):
            try:
                connection.result(self.encoder, msgid, None)
            except LocalProtocolError:
                continue
            raise AssertionError(f"two responses to {msgid}")

    def _is_in_flight(self, msgid: int) -> bool:
        """Whether a cancel concerns anybody: that is how the connection shows it."""
        events = self._feed(self.encoder.notification("$/cancelRequest", [msgid]), 0)
        return bool(events)

    def _feed(self, payload: bytes, seed: int) -> list[Any]:
        stream = encode_header(len(payload)) + payload
        events = self.whole.receive_data(stream)
        random, others, rest = Random(seed), [], stream
        while rest:
            size = random.randint(1, 9)
            others += self.cut.receive_data(rest[:size])
            rest = rest[size:]
        shown = list(map(_show, events)), list(map(_show, others))
        rule(shown[0] == shown[1], "events differ where the bytes are cut", *shown)
        return events

    def _expected_events(self, payload: bytes) -> int:
        """By the words of ``protos/stdio.md``: everything has one event, but what is ignored."""
        if len(payload) > _LIMIT:
            return 1
        try:
            message = decode_message(payload)
        except RemoteProtocolError:
            return 1
        if not isinstance(message, Notification):
            return 1
        return expected_of_notification(message, self.in_flight)

    def _book(self, event: Any) -> None:
        if isinstance(event, Request):
            rule(event.msgid not in self.in_flight, "in flight twice", event.msgid)
            self.in_flight[event.msgid] = event
            has_credit = event.options is not None and event.options.credit is not None
            rule((self.whole.credit(event.msgid) is not None) == has_credit, "credit", event)
        elif isinstance(event, CancelReceived | CreditReceived):
            rule(event.msgid in self.in_flight, "an event of what is not in flight", event.msgid)
        elif not isinstance(event, HelloReceived):
            rule(isinstance(event, Fault), "an unknown event", event)
            rule(not event.in_flight or event.msgid in self.in_flight, "a fault of", event.msgid)
            if event.in_flight:
                for connection in (self.whole, self.cut):
                    connection.error(self.encoder, event.msgid, event.error)
                self._ended(event.msgid)
            else:
                rule(event.msgid not in self.in_flight, "a fault would end", event.msgid)
                answer = decode_message(self.whole.fault(self.encoder, event))
                rule(isinstance(answer, Response | Notification), "an odd answer", answer)


def _show(event: Any) -> Any:
    # requests hold NaN and arrays, which are not equal to themselves
    if isinstance(event, Request):
        return "request", event.msgid, event.method, str(type(event.params)), len(event.params)
    if isinstance(event, HelloReceived):
        hello = event.hello
        return "hello", hello.max_answer_bytes, hello.signals, hello.requests, hello.plain_streams
    return describe(event)
