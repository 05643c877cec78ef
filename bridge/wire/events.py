"""What has come from the peer: events of a ``Connection``."""

from __future__ import annotations

from ..errors import CallError
from ..typing_names import Any
from .hello import Hello
from .messages import Request


class CancelReceived:
    """The peer cancelled the request ``msgid``, which is in flight."""

    __slots__ = ("msgid",)

    def __init__(self, msgid: int) -> None:
        self.msgid = msgid


class CreditReceived:
    """The peer granted the request ``msgid``, which is in flight, more credit; it is booked."""

    __slots__ = ("msgid",)

    def __init__(self, msgid: int) -> None:
        self.msgid = msgid


class HelloReceived:
    """The peer said what it takes."""

    __slots__ = ("hello",)

    def __init__(self, hello: Hello) -> None:
        self.hello = hello


class MemoryReceived:
    """The peer gives a place in shared memory back, or has looked whether it can open it."""

    __slots__ = ("method", "params")

    def __init__(self, method: str, params: list[Any]) -> None:
        self.method = method
        self.params = params


class LentReceived:
    """A message has come of which parts lie in a place: number, offset and size. ``what``: what it is."""

    __slots__ = ("what", "place")

    def __init__(self, what: Request | Fault, place: tuple[int, int, int]) -> None:
        self.what = what
        self.place = place


class Fault:
    """Something arrived that is wrong.

    If ``in_flight``, it concerns the request ``msgid``, which must now end with ``error``.
    Otherwise ``Connection.fault()`` makes the answer to send, which ends nothing.
    """

    __slots__ = ("msgid", "error", "in_flight")

    def __init__(self, msgid: int | None, error: CallError, in_flight: bool = False) -> None:
        self.msgid = msgid
        self.error = error
        self.in_flight = in_flight


class ResponseReceived:
    """The peer has answered the request ``msgid`` of this end: with an error, or a result."""

    __slots__ = ("msgid", "error", "result")

    def __init__(self, msgid: int, error: CallError | None, result: Any) -> None:
        self.msgid = msgid
        self.error = error
        self.result = result


class ItemReceived:
    """An item for the request ``msgid`` of this end, in a message of ``size`` bytes."""

    __slots__ = ("msgid", "item", "size")

    def __init__(self, msgid: int, item: Any, size: int) -> None:
        self.msgid = msgid
        self.item = item
        self.size = size


Event = (
    ResponseReceived
    | ItemReceived
    | Request
    | CancelReceived
    | CreditReceived
    | HelloReceived
    | MemoryReceived
    | LentReceived
    | Fault
)
