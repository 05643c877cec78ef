"""What the parts of one pipe share that send to it."""

from __future__ import annotations

import threading

from ...wire import Encoder
from .writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire import Connection

#: When so much is queued, workers pause and progress and log lines are dropped until it is written.
MAX_BACKLOG_BYTES = 32 << 20


class PerThread(threading.local):
    """What each thread has for itself: an encoder."""

    def __init__(self) -> None:
        self.encoder = Encoder()


class Channel:
    """The way to the peer: the state of the protocol, the queue of messages, encoders.

    A tool sends items and progress, others may end its call, and nothing may follow the answer.
    ``order`` is held from the look whether there is none until what is sent is queued, and while
    the answer is queued. Never while something is encoded: that may run code of the tool.

    Args:
        descriptor: where messages are written, private to this object.
        connection: the state of the protocol; the reader's too.
        closed: called once, by the thread that finds that nobody reads any more.
    """

    __slots__ = ("connection", "writer", "order", "own")

    def __init__(
        self, descriptor: int, connection: Connection, closed: Callable[[], object]
    ) -> None:
        self.connection = connection
        self.writer = Writer(descriptor, closed)
        self.order = threading.Lock()
        self.own = PerThread()

    @property
    def is_flooded(self) -> bool:
        """Whether so much waits to be written that no more should be made."""
        return self.writer.backlog > MAX_BACKLOG_BYTES
