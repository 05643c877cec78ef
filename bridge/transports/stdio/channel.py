"""What the parts of one pipe share that send to it."""

from __future__ import annotations

import threading

from ...wire import MAX_ANSWER_BYTES, SHARED, TABLE, Encoder, Forms, Hello
from .memory import StdioMemory
from .writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...wire import Connection, Encoders

#: When so much is queued, workers pause and progress and log lines are dropped until it is written.
MAX_BACKLOG_BYTES = 32 << 20


class Limit:
    """How long a message to the peer may be, and what values become in it."""

    __slots__ = ("max_bytes", "forms")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        # a peer that has not said that it takes tables gets none
        self.forms = Forms(tables=False)

    def new_encoder(self) -> Encoder:
        """An encoder for one thread."""
        return Encoder(self.max_bytes, self.forms)


class PerThread(threading.local):
    """What each thread has for itself: an encoder."""

    def __init__(self, limit: Limit) -> None:
        self.encoder = limit.new_encoder()


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
        memory: how much of both directions may be in shared memory, default: 0, nothing; what is smaller
            than the second number stays in the message.
    """

    __slots__ = ("connection", "writer", "order", "own", "hello", "memory", "_limit")

    def __init__(
        self,
        descriptor: int,
        connection: Connection,
        closed: Callable[[], object],
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        memory: tuple[int, int] = (0, 0),
    ) -> None:
        self.connection = connection
        self.writer = Writer(descriptor, closed)
        self.order = threading.Lock()
        self._limit = Limit(max_answer_bytes)
        self.own = PerThread(self._limit)
        #: What the peer has said that it takes.
        self.hello = Hello()
        #: What goes beside the pipe; None: nothing does.
        self.memory: StdioMemory | None = None
        if memory[0]:
            self.memory = StdioMemory(self._notify, *memory, connection.max_message_bytes)

    def receive_hello(self, hello: Hello) -> None:
        """Heed what the peer takes. The reader calls it, before calls that came later.

        Threads that have sent results already go on with what held before.
        """
        self.hello = hello
        if hello.batches:
            self.writer.batch()
        if hello.max_answer_bytes is not None:
            self._limit.max_bytes = min(self._limit.max_bytes, hello.max_answer_bytes)
            self.own.encoder = self._limit.new_encoder()
        self._limit.forms.tables = TABLE in hello.extensions
        self._limit.forms.named_after(hello.types)
        self._limit.forms.lender = self.memory if SHARED in hello.extensions else None

    def use_encoders(self, encoders: Encoders) -> None:
        """Have the functions of an adapter make what its types become. Before there are calls."""
        forms = self._limit.forms
        self._limit.forms = Forms(encoders, forms.tables, forms.named)
        self.own.encoder = self._limit.new_encoder()

    def _notify(self, method: str, params: list[Any]) -> None:
        self.writer.send(self.own.encoder.notification(method, params))
        self.writer.flush()

    @property
    def is_flooded(self) -> bool:
        """Whether so much waits to be written that no more should be made."""
        return self.writer.backlog > MAX_BACKLOG_BYTES
