"""The requests that this end makes of its peer, as a value: which have no response yet.

The protocol is symmetrical: what a ``Connection`` does for the peer's requests is done here for
our own, whose ids count for themselves. No I/O happens here.

Threads: the reader hands in what has come (``response``, ``item``, ``unreadable``); the methods that
make bytes may be called by any thread, each with an ``Encoder`` of its own.
"""

from __future__ import annotations

from itertools import count

from ..errors import CODES, CallError, LocalProtocolError, RemoteProtocolError, shorten, text_of
from ..typing_names import Any
from .codec import Encoder
from .credit import Credit
from .events import Fault, ItemReceived, ResponseReceived
from .messages import RESPONSE, Response
from .peeking import peek_id

CANCEL, CREDIT = "$/cancelRequest", "$/credit"


class Requester:
    """The requests that were made, and the credit of those that stream."""

    def __init__(self) -> None:
        self._ids = count(1)
        #: Requests that have no response yet; streaming ones with the credit that was given.
        self._asked: dict[int, Credit | None] = {}

    def __len__(self) -> int:
        """How many requests have no response yet."""
        return len(self._asked)

    # -- to the peer ------------------------------------------------------------------------

    def request(
        self,
        encoder: Encoder,
        method: str,
        params: list[Any] | dict[str, Any],
        options: dict[str, Any],
    ) -> tuple[int, bytes]:
        """A new request. Returns its id, and the message to send.

        Args:
            encoder: The one of the calling thread.
            method: What is asked for.
            params: Arguments by position or by name.
            options: The map of the protocol; with ``stream``, which gives the first credit, items
                may come before the response.

        Raises:
            EncodeError: The arguments have no form on the wire; nothing was asked.
        """
        msgid = next(self._ids)
        data = encoder.request(msgid, method, params, options)
        stream = options.get("stream")
        self._asked[msgid] = None if stream is None else Credit(stream["items"], stream["bytes"])
        return msgid, data

    def forget(self, msgid: int) -> None:
        """Note that a request was never sent."""
        self._asked.pop(msgid, None)

    def cancel(self, encoder: Encoder, msgid: int) -> bytes | None:
        """What cancels a request, which is still answered; None if it was."""
        return encoder.notification(CANCEL, [msgid]) if msgid in self._asked else None

    def grant(self, encoder: Encoder, msgid: int, items: int, bytes: int) -> bytes | None:
        """What gives more credit for a stream; None if that has ended."""
        credit = self._asked.get(msgid)
        if credit is None:
            return None
        credit.grant(items, bytes)
        return encoder.notification(CREDIT, [msgid, items, bytes])

    # -- from the peer ----------------------------------------------------------------------

    def response(self, message: Response) -> ResponseReceived | Fault:
        """What a response means. One that nobody asked for is a fault."""
        if self._asked.pop(message.msgid, self) is self:
            return Fault(None, CallError(
                f"a response to request {shorten(message.msgid)}, which was never made",
                code="invalid_argument",
            ))  # fmt: skip
        error = None if message.error is None else _read_error(message.error)
        return ResponseReceived(message.msgid, error, message.result)

    def item(self, params: Any, size: int) -> ItemReceived | Fault | None:
        """What an item means, that came in a message of ``size`` bytes; None: its stream has ended."""
        if type(params) is not list or len(params) != 2 or type(params[0]) is not int:
            return Fault(None, CallError("$/item takes [id, item]", code="invalid_argument"))
        msgid, item = params
        if msgid not in self._asked:
            return None
        credit = self._asked[msgid]
        try:
            if credit is None:
                raise LocalProtocolError("an item of a request that is no stream")
            credit.spend(size)
        except LocalProtocolError as error:
            return Fault(None, CallError(f"request {msgid}: {error}", code="invalid_argument"))
        return ItemReceived(msgid, item, size)

    def unreadable(
        self, prefix: bytes | memoryview, error: RemoteProtocolError
    ) -> ResponseReceived | None:
        """What is left of a response that cannot be read: it ends its request. None: it is none."""
        msgid = peek_id(prefix, RESPONSE)
        if msgid is None or self._asked.pop(msgid, self) is self:
            return None
        refusal = CallError(f"the answer cannot be read: {error}", code=error.code)
        return ResponseReceived(msgid, refusal, None)


def _read_error(wire: dict[Any, Any]) -> CallError:
    """The error in a response, whatever the peer has put there."""
    code, lines, details = wire.get("code"), wire.get("traceback"), wire.get("details")
    kind = wire.get("type")
    return CallError(
        text_of(wire.get("message", "no message")),
        code=code if isinstance(code, str) and code in CODES else "unknown",
        type=kind if isinstance(kind, str) else None,
        traceback=[text_of(line) for line in lines] if isinstance(lines, list) else None,
        details=details if isinstance(details, dict) else None,
    )
