"""One peer's end of the protocol as a value: bytes in, events out; replies in, bytes out.

No I/O happens here. The transport reads into ``get_buffer()``, hands the count to
``buffer_updated()`` and acts on the events; it sends the bytes that the other methods return.

Threads: ``get_buffer``, ``buffer_updated`` and ``receive_data`` belong to one reader. The methods
that make bytes may be called by any thread, each with an ``Encoder`` of its own; those for one
request by one thread at a time.
"""

from __future__ import annotations

from ..errors import (
    CallError,
    LocalProtocolError,
    RemoteProtocolError,
    shorten,
)
from ..typing_names import Any
from .buffers import Payload
from .codec import ITEM, Encoder, decode_message
from .credit import Credit
from .events import (
    CancelReceived,
    CreditReceived,
    Event,
    Fault,
    HelloReceived,
    LentReceived,
    MemoryReceived,
)
from .framing import FrameDecoder, OversizedFrame
from .hello import Hello
from .messages import CallOptions, Notification, Request, check_credit
from .peeking import peek_msgid
from .reading import MAX_ITEMS
from .requester import Requester
from .shared import PLACE_BYTES, Lent, LentMessage, peek_place
from .substitutes import encode_error

OPEN, DRAINING, CLOSED = "open", "draining", "closed"
#: Which states may follow which. A missing entry raises.
TRANSITIONS = {
    (OPEN, DRAINING),
    (OPEN, CLOSED),
    (DRAINING, CLOSED),
}

CANCEL, CREDIT, HELLO = "$/cancelRequest", "$/credit", "$/hello"
#: What the peer says about places in shared memory.
MEMORY = ("$/release", "$/memory")


class Connection:
    """The state of one peer: which requests are in flight, how far its frames were read.

    Args:
        max_message_bytes: A longer frame is refused on its header.
        max_message_items: One with more lists and maps is refused; default: 2 Mi.
    """

    def __init__(self, max_message_bytes: int, max_message_items: int = MAX_ITEMS) -> None:
        self.max_message_bytes = max_message_bytes
        self._max_message_items = max_message_items
        self.state = OPEN
        self._frames = FrameDecoder(max_message_bytes)
        #: Requests that have no response yet; streaming ones with their credit.
        self._in_flight: dict[int, Credit | None] = {}
        #: The requests of this end.
        self.requester = Requester()
        #: Whether the peer has ever asked for a stream.
        self.has_streamed = False

    def __repr__(self) -> str:
        return f"<Connection {self.state}, {len(self._in_flight)} in flight>"

    # -- from the peer ----------------------------------------------------------------------

    def get_buffer(self) -> memoryview:
        """Where the next bytes from the peer belong. Never empty."""
        return self._frames.get_buffer()

    def buffer_updated(self, count: int) -> list[Event]:
        """What ``count`` more bytes in the buffer mean, in order. What is wrong is a ``Fault``."""
        events: list[Event] = []
        if self.state == CLOSED:
            return events
        in_flight, limit = self._in_flight, self._max_message_items
        for frame in self._frames.buffer_updated(count):
            try:
                if isinstance(frame, OversizedFrame):
                    raise self._oversized(frame)
                message = decode_message(frame, limit)
                if type(message) is Request:
                    msgid = message.msgid
                    if msgid not in in_flight:
                        options = message.options
                        if options is None or options.credit is None:
                            in_flight[msgid] = None
                        else:
                            in_flight[msgid] = Credit(*options.credit)
                            self.has_streamed = True
                        events.append(message)
                        continue
                    event: Event | None = self._duplicate(msgid)
                elif isinstance(message, Notification):
                    event = self._notification(message, len(frame))
                elif type(message) is Lent:
                    event = self._lent(message)
                else:
                    event = self.requester.response(message)  # type: ignore[arg-type]
            except RemoteProtocolError as error:
                event = self._fault(frame, error)
            except Exception as error:
                # where one message is handled: a bug here, or no memory, concerns no other one
                event = self._fault(frame, _unreadable(frame, error))
            if event is not None:
                events.append(event)
        return events

    def receive_data(self, data: bytes) -> list[Event]:
        """The same for bytes that are at hand already, as in tests."""
        events: list[Event] = []
        rest = memoryview(data)
        while rest:
            buffer = self.get_buffer()
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            events += self.buffer_updated(count)
            rest = rest[count:]
        return events

    # -- to the peer ------------------------------------------------------------------------

    def is_in_flight(self, msgid: int) -> bool:
        """Whether the request has come and has no response yet."""
        return msgid in self._in_flight

    def credit(self, msgid: int) -> Credit | None:
        """The credit of the streaming call ``msgid``; None if it is none or was answered."""
        return self._in_flight.get(msgid)

    def result(self, encoder: Encoder, msgid: int, result: Any) -> Payload:
        """The one response of a call that succeeded. Afterwards the id is free again.

        Args:
            encoder: The one of the calling thread.
            msgid: The request.
            result: Any value that has a form on the wire.

        Raises:
            EncodeError: It has none; the request is still in flight.
            LocalProtocolError: The request was answered before.
        """
        return self.answered(msgid, encoder.result(msgid, result))

    def answered(self, msgid: int, response: Payload) -> Payload:
        """A response that is encoded already. Raises ``LocalProtocolError`` if it is the second."""
        if self._in_flight.pop(msgid, self) is self:
            raise _second_response(msgid)
        return response

    def error(self, encoder: Encoder, msgid: int, error: CallError) -> bytes:
        """The one response of a call that failed.

        Long texts in it are cut, and what cannot travel of its details is described.

        Raises:
            LocalProtocolError: The request was answered before.
        """
        data = encode_error(encoder, msgid, error)
        if self._in_flight.pop(msgid, self) is self:
            raise _second_response(msgid)
        return data

    def forget(self, msgid: int) -> bool:
        """Note that the request has its response, whatever that is. False if it had one before."""
        return self._in_flight.pop(msgid, self) is not self

    def item(self, encoder: Encoder, msgid: int, credit: Credit | None, item: Any) -> Payload:
        """The next item of a stream; its size is taken from the credit.

        Args:
            encoder: The one of the calling thread.
            msgid: The request.
            credit: What ``credit(msgid)`` was when the call began.
            item: Any value that has a form on the wire.

        Raises:
            EncodeError: It has none; no credit was taken.
            LocalProtocolError: There is no credit, or the call was answered, even if the peer has
                used the id again.
        """
        data = encoder.item(msgid, item)
        if credit is None or self._in_flight.get(msgid) is not credit:
            raise LocalProtocolError(f"an item for {msgid}, which is not a stream in flight")
        credit.spend(data.weight if type(data) is LentMessage else len(data))
        return data

    def fault(self, encoder: Encoder, fault: Fault) -> bytes:
        """The answer to a fault that ends no request in flight."""
        if fault.msgid is not None:
            return encode_error(encoder, fault.msgid, fault.error)
        return encoder.notification("$/error", [fault.error.to_wire()])

    def drain(self) -> None:
        """From now on, new requests are to be refused. Again: no effect."""
        if self.state == OPEN:
            self._enter(DRAINING)

    def close(self) -> None:
        """Note that nothing is received any more. What was received is still answered.

        Raises:
            LocalProtocolError: That was noted before.
        """
        self._enter(CLOSED)

    # -- parts ------------------------------------------------------------------------------

    def _enter(self, state: str) -> None:
        if (self.state, state) not in TRANSITIONS:
            raise LocalProtocolError(f"a connection cannot go from {self.state} to {state}")
        self.state = state

    def _fault(self, frame: memoryview | OversizedFrame, error: RemoteProtocolError) -> Event:
        place = None if isinstance(frame, OversizedFrame) else peek_place(frame)
        if place is not None:
            return self._lent_fault(place, frame[PLACE_BYTES:], error)  # type: ignore[index]
        answer = self.requester.unreadable(_prefix(frame), error)
        if answer is not None:
            return answer
        if error.msgid in self._in_flight:
            # its id belongs to another request: answering would end that one
            return self._duplicate(error.msgid)
        return Fault(error.msgid, error.to_call_error())

    def _lent(self, lent: Lent) -> LentReceived:
        message = lent.message
        if type(message) is not Request:
            error = CallError("only a request may have a place here", code="invalid_argument")
            return LentReceived(Fault(None, error), lent.place)
        msgid, options = message.msgid, message.options
        if msgid in self._in_flight:
            return LentReceived(self._duplicate(msgid), lent.place)
        # of its own: what lies in shared memory will be noted there
        options = message.options = CallOptions() if options is None else options.copy()
        self._in_flight[msgid] = None if options.credit is None else Credit(*options.credit)
        self.has_streamed |= options.credit is not None
        return LentReceived(message, lent.place)

    def _lent_fault(
        self, place: tuple[int, int, int], rest: memoryview, error: RemoteProtocolError
    ) -> LentReceived:
        msgid = error.msgid = peek_msgid(rest)
        if msgid in self._in_flight:
            return LentReceived(self._duplicate(msgid), place)
        return LentReceived(Fault(msgid, error.to_call_error()), place)

    def _duplicate(self, msgid: int) -> Fault:
        error = CallError(
            f"request {msgid} is in flight already; the second one was dropped",
            code="already_exists",
            details={"id": msgid},
        )
        return Fault(None, error)

    def _oversized(self, frame: OversizedFrame) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"a frame of {frame.length} bytes, but the limit is {self.max_message_bytes} "
            "(--max-message-bytes)",
            code="resource_exhausted",
            msgid=peek_msgid(frame.prefix),
        )

    def _notification(self, message: Notification, size: int) -> Event | None:
        method, params = message.method, message.params
        if method == ITEM:
            return self.requester.item(params, size)
        if method == CANCEL:
            if len(params) == 1 and type(params) is list and type(params[0]) is int:
                return CancelReceived(params[0]) if params[0] in self._in_flight else None
            error = f"{CANCEL} takes [id]"
        elif method == CREDIT:
            if len(params) == 3 and type(params) is list and type(params[0]) is int:
                return self._receive_credit(*params)
            error = f"{CREDIT} takes [id, items, bytes]"
        elif method == HELLO:
            if len(params) == 1 and type(params) is list:
                return HelloReceived(Hello.from_wire(params[0]))
            error = f"{HELLO} takes [map]"
        elif method in MEMORY:
            return MemoryReceived(method, params) if type(params) is list else None
        elif method.startswith("$/"):
            return None
        else:
            error = f"{shorten(method)} came as a notification; tools are called by requests"
        return Fault(None, CallError(error, code="invalid_argument"))

    def _receive_credit(self, msgid: int, items: Any, bytes: Any) -> CreditReceived | Fault | None:
        if msgid not in self._in_flight:
            return None
        try:
            granted = check_credit(items, bytes)
        except RemoteProtocolError as error:
            return Fault(msgid, CallError(str(error), code="invalid_argument"), in_flight=True)
        credit = self._in_flight.get(msgid)
        if credit is None:
            return None
        credit.grant(*granted)
        return CreditReceived(msgid)


def _prefix(frame: memoryview | OversizedFrame) -> bytes | memoryview:
    """The first bytes of a frame, of which there may be no more."""
    return frame.prefix if isinstance(frame, OversizedFrame) else frame


def _unreadable(frame: memoryview | OversizedFrame, error: Exception) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"the message could not be read: {shorten(error)}",
        code="resource_exhausted" if isinstance(error, MemoryError) else "internal",
        msgid=peek_msgid(_prefix(frame)),
    )


def _second_response(msgid: int) -> LocalProtocolError:
    return LocalProtocolError(f"a second response to request {msgid}")
