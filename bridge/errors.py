"""What can go wrong, split by blame.

``ProtocolError``: somebody broke the protocol, we (``LocalProtocolError``, a bug here) or the
peer (``RemoteProtocolError``, answered and survived). ``TransportClosed``: the pipe is gone.
``AdapterError``: the user's adapter cannot be served, ``UsageError``: nor can the options.
``CallError`` and its children are the outcome of one call and travel to the caller; each has a
``code``, a gRPC status name in lower case, which is the same on every transport and in Elixir.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .typing_names import Any

#: Every code that may stand in an error: the names of gRPC's status codes, without ``ok``.
CODES = frozenset(
    [
        "cancelled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ]
)


#: An integer of more bits is not printed: the time that takes grows with their square.
_MAX_PRINTED_BITS = 4096
#: The message of an error on the wire has at most so many bytes, and so have all lines of its traceback.
MAX_ERROR_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 12
#: A traceback on the wire has at most this many lines, the innermost ones.
_MAX_LINES = 100
#: So much room has the mark that says how much was cut.
_MARK_BYTES = 40


def shorten(value: object, max_characters: int = 60) -> str:
    """What a value looks like, for messages about it.

    Never raises, whatever the value does when it is shown. Of what is large only the beginning is
    looked at.
    """
    text = ""
    try:
        for piece in _show(value, max_characters):
            text += piece
            if len(text) > max_characters:
                return text[: max_characters - 3] + "..."
    except BaseException:  # code of the value's class, SystemExit included
        return f"a {class_name(type(value), module=False)} that cannot be shown"
    return text


def _show(value: object, size: int) -> Iterator[str]:
    """``repr(value)`` in pieces; each level has at least one, so nobody needs to go deep."""
    if type(value) is str or type(value) is bytes or type(value) is bytearray:
        yield repr(value[:size])
    elif type(value) is dict:
        for index, (key, item) in enumerate(value.items()):
            yield ", " if index else "{"
            yield from _show(key, size)
            yield ": "
            yield from _show(item, size)
        yield "}" if value else "{}"
    elif type(value) is list or type(value) is tuple:
        opening, closing = "[]" if type(value) is list else "()"
        yield opening
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _show(item, size)
        yield "," + closing if type(value) is tuple and len(value) == 1 else closing
    elif isinstance(value, int) and int.bit_length(value) > _MAX_PRINTED_BITS:
        yield "a very long number"
    else:
        yield str.__str__(repr(value))


def class_name(kind: type, *, module: bool = True) -> str:
    """The qualified name of a class, with its module. Never raises, whatever its metaclass does."""
    try:
        return f"{kind.__module__}.{kind.__qualname__}" if module else f"{kind.__qualname__}"
    except BaseException:
        return "class without a name"


def text_of(value: object) -> str:
    """``str(value)``; if that raises, what else can be said about the value."""
    try:
        return str.__str__(str(value))
    except BaseException:  # code of the value's class, SystemExit included
        return shorten(value)


def cut(text: str, max_bytes: int | None = None) -> str:
    """Text that can be sent as UTF-8, with a mark that says how much was left out.

    Args:
        text: Any; half a character, as ``os.listdir`` makes of names that are not UTF-8, is
            escaped as Python does (``caf\\udce9``).
        max_bytes: How long it may be, at least 3; default: as long as it is.
    """
    data = str.encode(text, errors="backslashreplace")
    if max_bytes is None or len(data) <= max_bytes:
        return data.decode()
    if max_bytes < 2 * _MARK_BYTES:
        return data[: max_bytes - 3].decode(errors="ignore") + "…"
    kept = data[: max_bytes - _MARK_BYTES].decode(errors="ignore")
    return f"{kept}… ({len(data) - len(kept.encode())} more bytes)"


def cut_lines(lines: Iterable[object]) -> list[str]:
    """The last lines of a traceback, each cut, as many as a person reads."""
    kept: list[str] = []
    left = MAX_ERROR_BYTES
    every = list(lines)
    for line in reversed(every[-_MAX_LINES:]):
        text = cut(text_of(line), _MAX_LINE_BYTES)
        left -= len(text.encode())
        if left < 0:
            kept.append(f"… ({len(every) - len(kept)} more lines)")
            break
        kept.append(text)
    return kept[::-1]


class BridgeError(Exception):
    """The root of all errors that the bridge itself raises."""


class AdapterError(BridgeError):
    """The adapter cannot be imported, built or served; the message says what to do."""


class UsageError(BridgeError):
    """The options of the process cannot be served; the message says what to change."""


class TransportClosed(BridgeError):
    """The peer is gone: nothing can be sent any more."""


class ProtocolError(BridgeError):
    """The protocol was violated. Raised only as one of its two children."""


class LocalProtocolError(ProtocolError):
    """We were about to violate the protocol; the state is unchanged. Always a bug in the bridge."""


class RemoteProtocolError(ProtocolError):
    """The peer violated the protocol. The connection lives on.

    Args:
        message: What was wrong, for the peer.
        code: The error code to answer with; default: ``invalid_argument``.
        msgid: The request that it belongs to; default: None, which says that none is known.
    """

    def __init__(
        self, message: str, *, code: str = "invalid_argument", msgid: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.msgid = msgid

    def to_call_error(self) -> CallError:
        """The same fault as an error that can be sent. The tool cannot have begun."""
        return CallError(str(self), code=self.code, started=False)


class EncodeError(BridgeError, TypeError):
    """A value has no form on the wire. The message names the type and the path to it."""


class CallError(BridgeError):
    """The outcome of a call that did not succeed. A tool may raise it, or a child, on purpose.

    Args:
        message: What went wrong, for people.
        code: One of ``CODES``; default: that of the class.
        type: The qualified Python class of the exception that caused it; default: None.
        traceback: The lines of its traceback, innermost frame last; default: None.
        started: Whether the tool may have begun, so that calling again could repeat work;
            default: None, which says that it is not known.
        details: Further facts, by name, that MessagePack can carry; default: None.

    Raises:
        ValueError: The code is no name of a gRPC status.
    """

    code = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,
        traceback: list[str] | None = None,
        started: bool | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            if code not in CODES:
                raise ValueError(f"{code!r} is no error code; choose one of {sorted(CODES)}")
            self.code = code
        self.message = message
        self.type = type
        self.traceback = traceback
        self.started = started
        self.details = details

    def again(self) -> CallError:
        """The same error, to be raised by itself: what is raised keeps the frames that it leaves.

        Whoever keeps an error and raises it would keep, through its traceback, whatever is in the
        frames; and if one of them leads back to the error, until the next full collection.
        """
        # not by its class, which may ask for other arguments
        made: CallError = Exception.__new__(type(self), *self.args)
        made.__dict__.update(self.__dict__)
        return made

    def to_wire(self) -> dict[str, Any]:
        """The error as the map of the protocol: ``code``, ``message``, and the rest if not None."""
        wire: dict[str, Any] = {"code": self.code, "message": self.message}
        for key in ("type", "traceback", "started", "details"):
            value = getattr(self, key)
            if value is not None:
                wire[key] = value
        return wire

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> CallError:
        """The error that ``to_wire`` made a map of: an instance of the class that has its code.

        A code that is none, or that only a newer peer knows, becomes ``unknown``.
        """
        code = wire["code"]
        if type(code) is not str or code not in CODES:
            code = "unknown"
        fields = {key: wire.get(key) for key in ("type", "traceback", "started", "details")}
        for child in CallError.__subclasses__():
            # not those that tools derive, whose arguments are their own
            if child.__module__ == __name__ and child.code == code:
                return child(wire["message"], **fields)
        return CallError(wire["message"], code=code, **fields)


class ToolNotFound(CallError):
    """No tool has this name."""

    code = "not_found"


class InvalidParams(CallError):
    """The arguments do not fit the tool's signature, or an option does not exist."""

    code = "invalid_argument"


class ToolFailed(CallError):
    """The tool raised an exception, or returned what cannot be encoded."""

    code = "internal"


class Cancelled(CallError):
    """The caller cancelled. ``Context.check()`` raises it inside the tool."""

    code = "cancelled"


class DeadlineExceeded(CallError):
    """The caller's time ran out. ``Context.check()`` raises it inside the tool."""

    code = "deadline_exceeded"


class PoolFull(CallError):
    """All workers are busy and the queue is full: nothing was done, try again later."""

    code = "resource_exhausted"


class ShuttingDown(CallError):
    """The bridge drains, or its peer is gone."""

    code = "unavailable"


class Interrupted(BaseException):
    """Raised in a tool that goes on although its call is over, if it may be: ``@tool(interruptible=True)``.

    No ``Exception``, so that ``except Exception`` lets it through, as it does ``KeyboardInterrupt``.
    ``finally`` and ``with`` run. Nobody is told of it: the call has its answer.
    """


class ElixirError(CallError):
    """A function of the Elixir program failed, or could not be called.

    ``kind``: ``error``, ``exit`` or ``throw`` if it raised, exited or threw; else None, and ``code``
    says why there is no result. ``type``: the module of Elixir's exception. ``traceback``: the lines
    of Elixir's stack, innermost first, as Elixir shows them.
    """

    @property
    def kind(self) -> str | None:
        """How the function ended."""
        kind = (self.details or {}).get("kind")
        return kind if isinstance(kind, str) else None


class Unimplemented(CallError):
    """The bridge does not know this ``$/`` request."""

    code = "unimplemented"
