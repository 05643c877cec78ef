"""The three messages of MessagePack-RPC and the options of a request.

Specification: https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md, with the additions
of ``protos/stdio.md``. They are plain value objects: equal if their fields are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..errors import RemoteProtocolError, shorten
from ..typing_names import Any

#: Arguments by position or by name.
Params = list[Any] | dict[str, Any]

#: The first field of a message.
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
#: A longer timeout is none.
MAX_TIMEOUT_MS = 1e12


class _Fields:
    """Equality and ``repr`` from ``__slots__``. (``dataclasses`` would double the start-up.)"""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class CallOptions(_Fields):
    """What a caller may say about a call beside its arguments.

    Args:
        timeout_s: Seconds that remain; default: None, for ever.
        session: Passed to the tool; default: None.
        metadata: Passed to the tool; default: None.
        credit: The first items and bytes of a stream; default: None, not a streaming call.
        within: The id of the caller's request on whose behalf this one is made; default: None.

    ``lent``: what makes the tool that gets arguments in shared memory, None: they are in the message.
    """

    __slots__ = ("timeout_s", "session", "metadata", "credit", "within", "lent")

    def __init__(
        self,
        timeout_s: float | None = None,
        session: str | None = None,
        metadata: Mapping[str, str] | None = None,
        credit: tuple[int, int] | None = None,
        within: int | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.session = session
        self.metadata = metadata
        self.credit = credit
        self.within = within
        self.lent: Any = None

    def copy(self) -> CallOptions:
        """The same for one request alone: others may have this one, too (``_with_timeout``)."""
        return CallOptions(self.timeout_s, self.session, self.metadata, self.credit, self.within)

    @classmethod
    def from_wire(cls, wire: object) -> CallOptions:
        """The options in the map of a request.

        Raises:
            RemoteProtocolError: It is no map, or an option is unknown or malformed; named.
        """
        if not isinstance(wire, dict):
            raise RemoteProtocolError(f"options must be a map, got {_name(wire)}")
        options = cls()
        for key, value in wire.items():
            if key == "timeout_ms":
                # "not >=" refuses NaN as well
                if not _is_number(value) or not value >= 0:
                    raise _bad_option(key, "a number of milliseconds, 0 or more", value)
                options.timeout_s = _seconds(value)
            elif key == "session":
                if not isinstance(value, str):
                    raise _bad_option(key, "text", value)
                options.session = value
            elif key == "metadata":
                if not isinstance(value, dict) or not all(
                    isinstance(text, str) for item in value.items() for text in item
                ):
                    raise _bad_option(key, "a map of text to text", value)
                options.metadata = value
            elif key == "stream":
                if not isinstance(value, dict) or value.keys() != {"items", "bytes"}:
                    raise _bad_option(key, 'a map with "items" and "bytes"', value)
                options.credit = check_credit(value["items"], value["bytes"])
            elif key == "within":
                if type(value) is not int or value < 0:
                    raise _bad_option(key, "the id of a request", value)
                options.within = value
            else:
                known = "timeout_ms, session, metadata, stream, within"
                raise RemoteProtocolError(f"unknown option {shorten(key)}; there are {known}")
        return options


def read_options(wire: object) -> CallOptions:
    """``CallOptions.from_wire``, without its questions for what nearly every client sends: a timeout."""
    if type(wire) is dict and len(wire) == 1:
        timeout_ms = wire.get("timeout_ms")
        if type(timeout_ms) is int and timeout_ms >= 0:
            return _with_timeout(timeout_ms)
    return CallOptions.from_wire(wire)


@lru_cache(256)
def _with_timeout(timeout_ms: int) -> CallOptions:
    """Options of nothing but a timeout, which nobody changes: callers have but a few different ones."""
    return CallOptions(_seconds(timeout_ms))


def _seconds(timeout_ms: float) -> float | None:
    # more than 30 years is for ever, and clocks cannot count that far
    return timeout_ms / 1000 if timeout_ms < MAX_TIMEOUT_MS else None


class Request(_Fields):
    """A call, by ``method`` with ``params``, to be answered under ``msgid``."""

    __slots__ = ("msgid", "method", "params", "options")

    def __init__(
        self, msgid: int, method: str, params: Params, options: CallOptions | None = None
    ) -> None:
        self.msgid = msgid
        self.method = method
        self.params = params
        self.options = options


class Response(_Fields):
    """The answer to the request ``msgid``. ``error`` is None or the map of the protocol."""

    __slots__ = ("msgid", "error", "result")

    def __init__(self, msgid: int, error: dict[str, Any] | None = None, result: Any = None) -> None:
        self.msgid = msgid
        self.error = error
        self.result = result


class Notification(_Fields):
    """A message that is never answered."""

    __slots__ = ("method", "params")

    def __init__(self, method: str, params: Params) -> None:
        self.method = method
        self.params = params


Message = Request | Response | Notification


def check_credit(items: object, bytes: object) -> tuple[int, int]:
    """Items and bytes of a credit that a peer has granted.

    Raises:
        RemoteProtocolError: One of them is no unsigned integer.
    """
    for name, number in (("items", items), ("bytes", bytes)):
        if type(number) is not int or number < 0:
            raise RemoteProtocolError(
                f"credit must be two integers, 0 or more; {name} is {shorten(number)}"
            )
    return items, bytes  # type: ignore[return-value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad_option(key: object, expected: str, value: object) -> RemoteProtocolError:
    return RemoteProtocolError(f"option {shorten(key)} must be {expected}, got {shorten(value)}")


def _name(value: object) -> str:
    return type(value).__name__
