"""The stdio transport: one peer on a pair of pipes."""

from __future__ import annotations

import os
import sys

from ...wire import Connection
from .channel import Channel
from .descriptors import PrivatePipes
from .peer import StdioPeer
from .reader import StdioReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import Dispatcher, Output
    from ...wire import Encoders


class StdioTransport:
    """What is there of stdio before an adapter is loaded; ``serve`` begins to read.

    ``peer`` can be told why there will be nothing to serve.

    Args:
        source: the descriptor where the peer writes.
        sink: the descriptor where it reads.
        max_message_bytes: longer messages are refused.
        max_message_items: so are those with more lists and maps.
        max_answer_bytes: a longer message to the peer is an error of its call.
        memory: how much of both directions may be in shared memory, 0: nothing; what is smaller than the
            second number stays in the message.
        end: called with a reason for the process to end: ``peer gone`` or ``shutdown``.

    Raises:
        OSError: a descriptor is not open.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        max_message_bytes: int,
        end: Callable[[str], object],
        *,
        max_message_items: int,
        max_answer_bytes: int,
        memory: tuple[int, int],
    ) -> None:
        self._pipes = PrivatePipes(source, sink)
        self._connection = Connection(max_message_bytes, max_message_items)
        self._channel = Channel(
            self._pipes.writer,
            self._connection,
            lambda: end("peer gone"),
            max_answer_bytes,
            memory,
        )
        self._end = end
        self.peer = StdioPeer(self._channel)

    @property
    def output(self) -> Output:
        """What workers leave to be written, for the pool."""
        return self._channel.writer

    def use_encoders(self, encoders: Encoders) -> None:
        """Have the functions of an adapter make what its types become. Before ``serve``."""
        self._channel.use_encoders(encoders)

    def serve(self, dispatcher: Dispatcher, *, inline: bool) -> StdioReader:
        """Begin to read requests; the pool of the dispatcher has this transport's ``output``.

        Args:
            dispatcher: who runs the tools.
            inline: whether tools that have proven quick run on the thread that reads.

        Returns:
            What reads, for a process that is forked.
        """
        reader = StdioReader(
            self._pipes.reader,
            self._channel,
            self.peer,
            dispatcher,
            gone=lambda: self._end("peer gone"),
            shutdown=lambda: self._end("shutdown"),
            inline=inline,
        )
        reader.start()
        return reader

    def hands_over(self, reason: str) -> bool:
        """Have the peer decide about a reason to end, if a SIGTERM or SIGHUP came and it wants to.

        Whoever ends a group of processes at once signals the peer as well: it goes on asking while
        its own parts end, and closes the pipe when it needs no answer any more.
        """
        if reason not in ("sigterm", "sighup") or not self._channel.hello.signals:
            return False
        self.peer.signal(reason)
        return True

    def describe_memory(self) -> dict[str, Any]:
        """What went beside the pipe, as ``$/stats`` shows it. Any thread."""
        memory = self._channel.memory
        if memory is None:
            there = hasattr(os, "memfd_create")
            why = (
                "it is off (--shared-memory 0)" if there else f"{sys.platform} has no memfd_create"
            )
            return {"available": False, "trouble": why}
        return memory.describe()

    def let_go(self) -> None:
        """Give memory back that nothing has needed for long. The main thread, now and then."""
        if self._channel.memory is not None:
            self._channel.memory.let_go()

    def drain(self) -> None:
        """Note that new requests are refused from now on, and that the end of this process is near."""
        self._connection.drain()
        if self._channel.memory is not None:
            self._channel.memory.drain()

    def forked(self) -> None:
        """In a process that a tool has forked: the pipes are the parent's, and so is shared memory."""
        self._pipes.forked()
        if self._channel.memory is not None:
            self._channel.memory.forked()
