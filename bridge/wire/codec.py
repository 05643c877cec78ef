"""Messages and values to MessagePack and back; the only file that knows ``msgpack``.

Both transports use it, so a value arrives in the same form on either.
Specification: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import msgpack

from ..errors import RemoteProtocolError
from .messages import CallOptions, Notification, Request, Response
from .values import decode_extension, explain_unencodable, to_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .messages import Message

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
#: Integers take at most this many bits; what is larger travels as an extension type.
MAX_MSGID = 2**64 - 1
#: A Packer keeps the largest buffer that it ever needed: above this it is thrown away.
_KEEP_PACKER_BYTES = 1 << 20


class Encoder:
    """Turns messages and values into bytes. Not for two threads at once: each has its own.

    All methods raise ``EncodeError`` naming the type and the path (``result.scores[3]``) if a
    value has no form on the wire; nothing is lost then.
    """

    __slots__ = ("_packer",)

    def __init__(self) -> None:
        self._packer = _new_packer()

    def result(self, msgid: int, result: Any) -> bytes:
        """The response of a call that succeeded."""
        return self._pack([RESPONSE, msgid, None, result], "result", result)

    def error(self, msgid: int, error: dict[str, Any]) -> bytes:
        """The response of a call that did not."""
        return self._pack([RESPONSE, msgid, error, None], "error", error)

    def notification(self, method: str, params: list[Any]) -> bytes:
        """A notification. For the path, its last parameter counts as the value."""
        return self._pack([NOTIFICATION, method, params], "item", params[-1] if params else None)

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

    def value(self, value: Any) -> bytes:
        """A bare value, without a message around it."""
        return self._pack(value, "value", value)

    def _pack(self, wire: Any, name: str, value: Any) -> bytes:
        try:
            data: bytes = self._packer.pack(wire)
        except Exception as error:
            self._packer = _new_packer()
            raise explain_unencodable(name, value, error) from error
        if len(data) > _KEEP_PACKER_BYTES:
            self._packer = _new_packer()
        return data


def decode_value(data: bytes | memoryview) -> Any:
    """One MessagePack value.

    Raises ``RemoteProtocolError`` if the bytes are not exactly that, if a map key is no scalar or
    if an extension type is unknown or malformed.
    """
    try:
        return _unpack(data, "strict")
    except UnicodeDecodeError:
        # Msgpax, for one, sends every binary as text. Such a "text" becomes bytes, the rest stays.
        try:
            return _restore_bytes(_unpack(data, "surrogateescape"))
        except RecursionError:
            raise RemoteProtocolError("the message is nested too deeply") from None


def decode_message(frame: bytes | memoryview) -> Message:
    """The message in a frame. Raises ``RemoteProtocolError``, with the request's id if it has one."""
    try:
        fields = decode_value(frame)
    except RemoteProtocolError as error:
        error.msgid = peek_msgid(frame)
        raise
    if type(fields) is not list:
        raise RemoteProtocolError(f"a message is an array, got {type(fields).__name__}")
    size = len(fields)
    kind = fields[0] if size else None
    # "type() is int": True and 0.0 are equal to 1 and 0, but no message types
    if type(kind) is int:
        if kind == REQUEST and 4 <= size <= 5:
            return _request(*fields[1:])
        if kind == RESPONSE and size == 4:
            return _response(*fields[1:])
        if kind == NOTIFICATION and size == 3:
            _, method, params = fields
            if type(method) is str and isinstance(params, list | dict):
                return Notification(method, params)
            raise RemoteProtocolError(
                "a notification is [2, method, params] with a text and an array or map"
            )
    raise RemoteProtocolError(
        f"unknown message: type {kind!r} with {size} fields; a request is [0, id, method, params] "
        "or [0, id, method, params, options], a response [1, id, error, result], a notification "
        "[2, method, params]",
        msgid=fields[1] if kind == REQUEST and size > 1 and _is_msgid(fields[1]) else None,
    )


def peek_msgid(prefix: bytes | memoryview) -> int | None:
    """The id of the request that begins with these bytes; None if that is no request.

    Works on the first 11 bytes, so that a frame that was refused on its header, or cannot be
    decoded, is still answered at its caller.
    """
    head = bytes(prefix[:11])
    if len(head) < 3 or head[0] not in (0x94, 0x95) or head[1] != REQUEST:
        return None
    first, rest = head[2], head[3:]
    if first <= 0x7F:
        return first
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}.get(first)
    if width is None or len(rest) < width:
        return None
    return int.from_bytes(rest[:width], "big")


def _request(msgid: object, method: object, params: object, options: object = None) -> Request:
    if not _is_msgid(msgid):
        raise RemoteProtocolError("the id of a request must be an unsigned integer of 64 bits")
    if type(method) is not str:
        raise RemoteProtocolError(
            f"the method must be text, got {type(method).__name__}", msgid=msgid
        )
    if not isinstance(params, list | dict):
        raise RemoteProtocolError(
            f"params must be an array or a map, got {type(params).__name__}", msgid=msgid
        )
    if options is None:
        return Request(msgid, method, params)
    try:
        return Request(msgid, method, params, CallOptions.from_wire(options))
    except RemoteProtocolError as error:
        error.msgid = msgid
        raise


def _response(msgid: object, error: object, result: object) -> Response:
    if not _is_msgid(msgid) or not (error is None or isinstance(error, dict)):
        raise RemoteProtocolError("a response is [1, id, error, result] with error nil or a map")
    return Response(msgid, error, result)


if TYPE_CHECKING:
    from typing import TypeGuard


def _is_msgid(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_MSGID


def _new_packer() -> msgpack.Packer:
    return msgpack.Packer(autoreset=True, use_bin_type=True, default=to_wire)


def _unpack(data: bytes | memoryview, unicode_errors: str) -> Any:
    try:
        return msgpack.unpackb(
            data,
            strict_map_key=False,
            ext_hook=decode_extension,
            timestamp=3,
            unicode_errors=unicode_errors,
        )
    except UnicodeDecodeError:
        raise
    except msgpack.ExtraData as error:
        raise RemoteProtocolError(
            f"{len(error.extra)} bytes follow the message in its frame"
        ) from None
    except msgpack.StackError:
        raise RemoteProtocolError("the message is nested too deeply") from None
    except TypeError as error:
        if "unhashable" in str(error):
            raise RemoteProtocolError(
                "map keys must be scalars: nil, a boolean, a number, text or bytes"
            ) from None
        raise RemoteProtocolError(f"not a MessagePack message: {error}") from None
    except Exception as error:
        # msgpack raises ValueError, OverflowError and its own; it names the reason
        raise RemoteProtocolError(f"not a MessagePack message: {error or 'bad format'}") from None


def _restore_bytes(value: Any) -> Any:
    """Texts with surrogate escapes back to the bytes that they were."""
    if type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogateescape")
        return value
    if type(value) is list:
        return [_restore_bytes(item) for item in value]
    if type(value) is dict:
        return {_restore_bytes(key): _restore_bytes(item) for key, item in value.items()}
    return value
