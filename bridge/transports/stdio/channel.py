"""What the parts of one pipe share that send to it."""

from __future__ import annotations

import threading

from ...wire import MAX_ANSWER_BYTES, Encoder
from .writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire import Connection

#: When so much is queued, workers pause and progress and log lines are dropped until it is written.
MAX_BACKLOG_BYTES = 32 << 20


class PerThread(threading.local):
    """What each thread has for itself: an encoder."""

    def __init__(self, max_answer_bytes: int) -> None:
        self.encoder = Encoder(max_answer_bytes)


class Channel:
    """The way to the peer: the state of the protocol, the queue of messages, encoders.

    A tool sends items and progress, others may end its call, and nothing may follow the answer.
    ``order`` is held from the look whether there is none until what is sent is queued, and while
    the answer is queued. Never while something is encoded: that may run code of the tool.

    Args:
        descriptor: where messages are written, private to this object.
        connection: the state of the protocol; the reader's too.
        closed: called once, by the thread that finds that nobody reads any more.
        max_answer_bytes: a longer message is refused before it is queued; default: 2047 MiB.
    """

    __slots__ = ("connection", "writer", "order", "own")

    def __init__(
        self,
        descriptor: int,
        connection: Connection,
        closed: Callable[[], object],
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.connection = connection
        self.writer = Writer(descriptor, closed)
        self.order = threading.Lock()
        self.own = PerThread(max_answer_bytes)

    @property
    def is_flooded(self) -> bool:
        """Whether so much waits to be written that no more should be made."""
        return self.writer.backlog > MAX_BACKLOG_BYTES
