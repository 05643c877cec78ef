"""Rules that the targets hold the bridge to, in the words of ``protos/stdio.md``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridge.errors import RemoteProtocolError
from bridge.wire import buffers, framing
from bridge.wire.codec import decode_message
from bridge.wire.hello import Hello
from bridge.wire.messages import Notification


def rule(holds: object, message: str, *facts: object) -> None:
    """Raise ``AssertionError`` unless it holds (``assert`` would be gone under ``python -O``)."""
    if not holds:
        raise AssertionError(" ".join([message, *map(repr, facts)]))


@contextmanager
def small_buffers() -> Iterator[None]:
    """Take frames and values for large that are not: what is done for those is in reach then."""
    before = framing.READ_BYTES, buffers.LARGE_BYTES
    framing.READ_BYTES, buffers.LARGE_BYTES = 64, 24
    try:
        yield
    finally:
        framing.READ_BYTES, buffers.LARGE_BYTES = before


def expected_of_notification(
    message: Notification, in_flight: dict[int, Any], *, taken: int = 1
) -> int:
    """How many events, or answers if nothing is in flight, a notification has.

    ``taken``: how many of them one has that is right, and is no answer.
    """
    params = message.params
    if message.method == "$/hello":
        return taken if type(params) is list and len(params) == 1 and _is_hello(params[0]) else 1
    if not message.method.startswith("$/"):
        return 1
    if message.method not in ("$/cancelRequest", "$/credit"):
        return 0
    size = 1 if message.method == "$/cancelRequest" else 3
    if not (type(params) is list and len(params) == size and type(params[0]) is int):
        return 1
    request = in_flight.get(params[0])
    if request is None:
        return 0
    if size == 1:
        return 1
    if any(type(number) is not int or number < 0 for number in params[1:]):
        return 1
    return int(request.options is not None and request.options.credit is not None)


def _is_hello(value: Any) -> bool:
    try:
        Hello.from_wire(value)
    except RemoteProtocolError:
        return False
    return True


def answers_to(frame: bytes, limit: int) -> int:
    """How many responses and ``$/error`` a frame has; one may come much later.

    Longer ones than ``limit`` are refused, whatever is in them.
    """
    if b"$/" in frame and len(frame) <= limit:
        message = try_to_decode(frame)
        if isinstance(message, Notification):
            return expected_of_notification(message, {}, taken=0)
    return 1


def try_to_decode(frame: bytes) -> Any:
    """The message in a frame, None if there is none."""
    try:
        return decode_message(frame)
    except Exception:
        return None  # if it should have been another exception, the bridge will show that
