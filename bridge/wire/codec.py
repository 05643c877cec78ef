"""Messages and values to MessagePack and back.

Both transports use it, so a value arrives in the same form on either.
Specification: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

from msgpack import unpackb

from ..errors import CallError, EncodeError, RemoteProtocolError, shorten
from ..typing_names import Any
from .buffers import CHANGED, Payload, holds_large, scatter
from .derived import exactly
from .keys import has_same_keys
from .messages import (
    NOTIFICATION,
    REQUEST,
    RESPONSE,
    Message,
    Notification,
    Request,
    Response,
    read_options,
)
from .packing import Packing, TooLarge
from .peeking import peek_msgid
from .reading import GUARDED_BYTES, MAX_ITEMS, explain_unreadable, read_value
from .shared import Lent, OutOfPlace
from .values import PLAIN, Forms, decode_extension, explain_unencodable, told_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .collected import Collected
    from .keys import Form

ITEM = "$/item"
MAX_MSGID = 2**64 - 1
MAX_ANSWER_BYTES = 2047 << 20  # no port of Erlang's takes a message of 2 GiB
#: A Packer keeps the largest buffer that it ever needed: above this it is thrown away.
_KEEP_PACKER_BYTES = 1 << 20
#: The size of smaller messages is not looked at: no limit is below.
_CHECKED_BYTES = 1000


def _unpack(data: bytes | memoryview, max_items: int, unicode_errors: str | None = None) -> Any:
    if len(data) >= GUARDED_BYTES:
        return read_value(data, max_items, unicode_errors)
    return unpackb(
        data,
        strict_map_key=False,
        ext_hook=decode_extension,
        timestamp=3,
        unicode_errors=unicode_errors,
    )


class Encoder(Packing):
    """Turns messages and values into bytes. Not for two threads at once: each has its own.

    All methods raise ``EncodeError`` if a value has no form on the wire; its message names the
    type and the path (``result.scores[3]``), and the encoder can be used further. Large bytes and
    tensors in a result or an item are not copied: the message is a row of buffers then, ``Parts``.

    Args:
        max_bytes: A message that is longer is a ``CallError``, ``resource_exhausted``; default:
            2047 MiB.
        forms: What values become; default: what is theirs, for a peer that takes everything.
    """

    __slots__ = ()

    def __init__(self, max_bytes: int = MAX_ANSWER_BYTES, forms: Forms = PLAIN) -> None:
        super().__init__(max_bytes, forms)

    def timed_result(self, msgid: int, result: Any, waited_s: float) -> Payload:
        """``result`` for a peer that wants to know how long the call has waited in a queue."""
        wire = [RESPONSE, msgid, None, result, round(waited_s * 1e6)]
        return self._value(wire, "result", result)

    def result(self, msgid: int, result: Any) -> Payload:
        """The response of a call that succeeded."""
        if holds_large(result):
            return self._scatter([RESPONSE, msgid, None, result], "result", result)
        # as _pack() does, without the call: every result comes by here
        try:
            data: bytes = self._packer.pack([RESPONSE, msgid, None, result])
        except Exception as error:
            raise self._explain("result", result, error) from error
        if self._conversions.any:
            return self._checked([RESPONSE, msgid, None, result], "result", result, data)
        if len(data) > _CHECKED_BYTES:
            self._check_size("result", len(data))
        return data

    def error(self, msgid: int, error: dict[str, Any]) -> bytes:
        """The response of a call that did not."""
        error = exactly(error)
        return self._pack([RESPONSE, msgid, error, None], "error", error, told_key)

    def item(self, msgid: int, item: Any) -> Payload:
        """The next item of a stream."""
        return self._value([NOTIFICATION, ITEM, [msgid, item]], "item", item)

    def _value(self, wire: Any, name: str, value: Any) -> Payload:
        if holds_large(value):
            return self._scatter(wire, name, value)
        try:
            data: bytes = self._packer.pack(wire)
        except Exception as error:
            raise self._explain(name, value, error) from error
        return self._checked(wire, name, value, data)

    def notification(self, method: str, params: list[Any], form: Form | None = None) -> bytes:
        """A notification. With a ``form`` of keys no two in a map are the same there.

        Its objects travel without the names of their classes: no decoder of the peer's is asked for
        what its own process reads.
        """
        conversions = self._conversions
        conversions.named = False
        try:
            return self._pack([NOTIFICATION, method, params], "params", params, form)
        finally:
            conversions.named = True

    def request(
        self,
        msgid: int,
        method: str,
        params: list[Any] | dict[str, Any],
        options: dict[str, Any] | None = None,
    ) -> bytes:
        """A request, as a peer sends it. ``options`` is the map of the protocol."""
        fields = [REQUEST, msgid, method, params]
        return self._pack(fields if options is None else [*fields, options], "params", params)

    def value(self, value: Any, name: str = "value") -> bytes:
        """A bare value, without a message around it; ``name`` is what the path begins with."""
        return self._pack(value, name, value)

    def _scatter(self, wire: Any, name: str, value: Any) -> Payload:
        collected = self._conversions.collect()
        try:
            parts = scatter(self._packer, wire, self._max_bytes, self._forms.encoders, collected)
        except Exception as error:
            raise self._explain(name, value, error) from error
        if self._conversions.any:
            self._check_converted(name, value, None)
        self._conversions.collected = None
        if collected is not None and collected.parts:
            return self._lend(wire, name, value, parts, collected)
        self._check_size(name, len(parts))
        return parts

    def _checked(self, wire: Any, name: str, value: Any, data: bytes) -> Payload:
        """A message of which something may have been converted, and may be large."""
        if self._conversions.any:
            collected = self._conversions.collected
            self._check_converted(name, value, data)
            if collected is not None and collected.parts:
                return self._lend(wire, name, value, data, collected)
        if len(data) > _CHECKED_BYTES:
            self._check_size(name, len(data))
        return data

    def _lend(
        self, wire: Any, name: str, value: Any, message: Payload, collected: Collected
    ) -> Payload:
        """A message with references, once its parts lie in shared memory; else the one with all in it."""
        self._check_size(name, len(message) + collected.size)
        lender = self._forms.lender
        lent = None if lender is None else lender.lend(bytes(message), collected)
        if lent is not None:
            return lent
        encode = self._pack if type(message) is bytes else self._scatter
        whole: Payload = self.whole(encode, wire, name, value)
        return whole

    def _pack(self, wire: Any, name: str, value: Any, form: Form | None = None) -> bytes:
        try:
            data: bytes = self._packer.pack(wire)
        except Exception as error:
            raise self._explain(name, value, error) from error
        if form is not None or self._conversions.any:
            if self._conversions.collected is not None:  # only results and items have places
                whole: bytes = self.whole(self._pack, wire, name, value, form)
                return whole
            self._check_converted(name, value, data, form)
        if len(data) > _CHECKED_BYTES:
            self._check_size(name, len(data))
        return data

    def _check_converted(
        self, name: str, value: Any, data: bytes | None, form: Form | None = None
    ) -> None:
        """Look at what became of a value of which parts were converted, or at its keys."""
        conversions = self._conversions
        converted, keys = conversions.any, conversions.keys
        conversions.begin()
        if converted and data is not None and not self._check.is_whole(data):
            raise self._explain(name, value, ValueError(CHANGED))
        if keys or form is not None:
            self._check_keys(name, value, form or self._forms.wire_key)

    def _check_keys(self, name: str, value: Any, form: Form) -> None:
        try:
            same = has_same_keys(value, form)
        except Exception as error:
            raise self._explain(name, value, error, form) from error
        if same:
            cause = ValueError("two keys of a map would be the same")
            raise self._explain(name, value, cause, form)

    def _check_size(self, name: str, size: int) -> None:
        self._conversions.large_bytes = 0
        if size > _KEEP_PACKER_BYTES:
            self.renew()
        if size > self._max_bytes:
            raise self._too_large(name, f"{size} bytes")

    def _too_large(self, name: str, size: str) -> CallError:
        return CallError(
            f"the {name} has {size}, above the limit of {self._max_bytes} (--max-answer-bytes)",
            code="resource_exhausted",
            started=True,
        )

    def _explain(
        self, name: str, value: Any, error: Exception, form: Form | None = None
    ) -> CallError | EncodeError:
        self.renew()  # half of the value is in the old one
        if isinstance(error, TooLarge):
            return self._too_large(name, "more bytes than fit into one message")
        if isinstance(error, ValueError) and "too large" in str(error):
            return self._too_large(name, "a part of more than 4 GiB")  # which MessagePack lacks
        return explain_unencodable(name, value, error, form, self._forms)


def decode_value(data: bytes | memoryview, max_items: int = MAX_ITEMS) -> Any:
    """One MessagePack value. Text that is not UTF-8 comes as bytes. Any thread.

    Args:
        data: The bytes of it.
        max_items: So many lists and maps may be in it, whatever its size; default: 2 Mi.

    Raises:
        RemoteProtocolError: The bytes are not exactly one value, a map key is no scalar, an
            extension type is unknown or malformed, or it would cost too much to read.
    """
    try:
        return _unpack(data, max_items)
    except UnicodeDecodeError:
        from .mixed_text import decode_mixed  # few messages have any

        return decode_mixed(data, max_items)
    except Exception as error:
        raise explain_unreadable(error) from None


def decode_message(frame: bytes | memoryview, max_items: int = MAX_ITEMS) -> Message | Lent:
    """The message in a frame; with its place, if parts of it lie in shared memory. Any thread.

    Args:
        frame: The bytes of it.
        max_items: So many lists and maps may be in it, whatever its size; default: 2 Mi.

    Raises:
        RemoteProtocolError: It is none; ``msgid`` is the request's id if it has one.
    """
    try:
        try:
            if len(frame) < GUARDED_BYTES:
                # as in _unpack(), but two calls less: nearly every message comes by here
                fields = unpackb(
                    frame, strict_map_key=False, ext_hook=decode_extension, timestamp=3
                )
            else:
                fields = read_value(frame, max_items)
        except OutOfPlace:
            from .lending import decode_lent

            fields, place = decode_lent(frame, max_items)
            return Lent(make_message(fields), place)
        except RemoteProtocolError:
            raise
        except Exception:
            fields = decode_value(frame, max_items)  # which knows what to do about it
        # nearly every message is a request; the checks in words are in make_message()
        if type(fields) is list:
            size = len(fields)
            if size == 5:
                kind, msgid, method, params, options = fields
            elif size == 4:
                kind, msgid, method, params = fields
                options = None
            else:
                return make_message(fields)
            if (
                kind is REQUEST  # of small integers there is one each: neither 0.0 nor False
                and type(msgid) is int
                and 0 <= msgid <= MAX_MSGID
                and type(method) is str
                and (type(params) is list or type(params) is dict)
            ):
                return Request(msgid, method, params, read_options(options) if size == 5 else None)
        return make_message(fields)
    except RemoteProtocolError as error:
        error.msgid = peek_msgid(frame)
        raise


def make_message(fields: object) -> Message:
    """The message of a decoded array. Raises ``RemoteProtocolError`` if it is none."""
    if type(fields) is not list:
        raise RemoteProtocolError(f"a message is an array, got {type(fields).__name__}")
    # "type() is int": True and 0.0 are equal to 1 and 0, but no message types
    kind = fields[0] if fields and type(fields[0]) is int else None
    size = len(fields)
    if kind == REQUEST and size in (4, 5):
        _, msgid, method, params, *options = fields
        if type(msgid) is not int or not 0 <= msgid <= MAX_MSGID:
            raise RemoteProtocolError("the id of a request must be an unsigned integer of 64 bits")
        if type(method) is not str:
            raise RemoteProtocolError(f"the method must be text, got {type(method).__name__}")
        if not isinstance(params, list | dict):
            raise RemoteProtocolError(
                f"params must be an array or a map, got {type(params).__name__}"
            )
        return Request(msgid, method, params, read_options(*options) if options else None)
    if kind == RESPONSE and size == 4:
        _, msgid, error, result = fields
        if type(msgid) is not int or not (error is None or isinstance(error, dict)):
            raise RemoteProtocolError(
                "a response is [1, id, error, result] with an integer, and nil or a map"
            )
        return Response(msgid, error, result)
    if kind == NOTIFICATION and size == 3:
        _, method, params = fields
        if type(method) is not str or not isinstance(params, list | dict):
            raise RemoteProtocolError(
                "a notification is [2, method, params] with text, and an array or a map"
            )
        return Notification(method, params)
    raise RemoteProtocolError(
        f"no message: type {shorten(kind)} with {size} fields; a request is [0, id, method, params] or "
        "[0, id, method, params, options], a response [1, id, error, result], a notification "
        "[2, method, params]"
    )
