"""Bytes to messages and back, without a thread, a lock, a descriptor or a clock.

A ``Connection`` is one peer's end of the protocol: it cuts frames out of bytes (``framing.py``)
and reads the messages in them (``codec.py``, ``messages.py``). An ``Encoder`` makes messages, whose
large parts stay where they are (``buffers.py``). What Python has and MessagePack lacks is in
``values.py`` and ``tensors.py``.

Others import the names below, and six modules by their names, as not every pipe needs them:
``json_values`` and ``json_text``, for peers that speak JSON, ``answers``, for peers in Python,
``collected`` and ``lending``, for those with shared memory, and ``times``, for those of Snakepit.
"""

from .buffers import LARGE_BYTES, Payload
from .codec import ITEM, MAX_ANSWER_BYTES, Encoder, decode_message, decode_value
from .connection import Connection
from .credit import Credit
from .derived import exactly
from .events import (
    CancelReceived,
    CreditReceived,
    Event,
    Fault,
    HelloReceived,
    ItemReceived,
    LentReceived,
    MemoryReceived,
    ResponseReceived,
)
from .extensions import SHARED, TABLE
from .framing import BATCH_HEADER_BYTES, HEADER_BYTES, begin_batch, encode_header
from .hello import Hello
from .messages import CallOptions, Message, Notification, Request, Response
from .reading import MAX_ITEMS, too_many_items
from .requester import Requester
from .shared import LentMessage, Shared
from .substitutes import MAX_TEXT_BYTES, sendable
from .values import NATIVE, Encoders, Forms, Lender, told_key

#: What no start needs, and values may: all but what wants a library.
REST = tuple(f"{__name__}.{name}" for name in ("plain", "refusals", "tables", "tensors", "times"))

__all__ = [
    "Connection", "Event", "CancelReceived", "CreditReceived", "Credit", "Fault",
    "Hello", "HelloReceived", "LentReceived", "MemoryReceived", "SHARED", "LentMessage", "Lender", "Shared",
    "ResponseReceived", "ItemReceived", "Requester",
    "Message", "Request", "Response", "Notification", "CallOptions",
    "Encoder", "Payload", "decode_message", "decode_value", "encode_header",
    "HEADER_BYTES", "BATCH_HEADER_BYTES", "begin_batch", "ITEM", "LARGE_BYTES", "MAX_TEXT_BYTES", "sendable",
    "MAX_ANSWER_BYTES", "MAX_ITEMS", "NATIVE", "TABLE", "Encoders", "Forms", "told_key", "exactly",
    "too_many_items", "REST",
]  # fmt: skip
