"""The id of a message of which only the first bytes are here, or which cannot be decoded."""

from __future__ import annotations

from .messages import REQUEST


def peek_msgid(prefix: bytes | memoryview) -> int | None:
    """The id of the request that begins with these bytes; None if that is no request.

    The first 11 bytes are enough, so that a frame that was refused on its header, or cannot be
    decoded, is still answered at its caller.
    """
    return peek_id(prefix, REQUEST)


def peek_id(prefix: bytes | memoryview, kind: int) -> int | None:
    """The id of the message of that kind which begins with these bytes; None if that is none."""
    head = bytes(prefix[:11])
    if len(head) < 3 or head[0] not in (0x94, 0x95) or head[1] != kind:
        return None
    return peek_integer(head[2:])


def peek_integer(head: bytes) -> int | None:
    """The unsigned integer with which these bytes begin; None if they do not."""
    if not head:
        return None
    first, rest = head[0], head[1:]
    if first <= 0x7F:
        return first
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}.get(first)
    if width is None or len(rest) < width:
        return None
    return int.from_bytes(rest[:width], "big")
