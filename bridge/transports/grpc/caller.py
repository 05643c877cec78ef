"""What a service has of the process: its tools, to be called and described."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ...calls import Dispatcher
from ...tool import Tool
from ...wire import MAX_ITEMS, Encoder, Encoders, Forms, decode_value
from .behavior import Place, mark
from .exchange import Exchange, Responses
from .executor import GrpcExecutor
from .sender import Drops, Sender


class PerThread(threading.local):
    """What each thread has for itself: encoders for callers that take tables, and for others.

    Args:
        encoders: the functions of the adapter.
    """

    def __init__(self, encoders: Encoders) -> None:
        self.encoder = Encoder(forms=Forms(encoders))
        self.encoder_without_tables = Encoder(forms=Forms(encoders, tables=False))


class ToolCaller:
    """Calls tools for the behaviors of services, and says which there are. Any thread.

    Args:
        dispatcher: what calls them.
        executor: what the ``grpc.Server`` of the services was made with.
        max_message_bytes: the size of the largest message that a client is sent.
        max_message_items: so many lists and maps may be in what one sends; default: 2 Mi.
        is_guarded: whether every call has shown a token.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        executor: GrpcExecutor,
        max_message_bytes: int,
        max_message_items: int = MAX_ITEMS,
        *,
        is_guarded: bool = False,
    ) -> None:
        self.is_guarded = is_guarded
        self._dispatcher = dispatcher
        self._executor = executor
        self._max_message_bytes = max_message_bytes
        #: So many lists and maps may be in the arguments of a call.
        self.max_message_items = max_message_items
        self._drops = Drops()
        #: All tools, by name.
        self.tools: Mapping[str, Tool] = {
            name: served.tool for name, served in dispatcher.tools.items()
        }
        encoders = next((tool.encoders for tool in self.tools.values()), {})
        #: What results become in JSON.
        self.forms = Forms(encoders)
        self._threads = PerThread(encoders)

    # -- for behaviors that call tools ------------------------------------------------------

    def call(
        self,
        context: Any,
        responses: Responses,
        tool: str,
        params: list[Any] | dict[str, Any],
        *,
        session: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: bool = True,
        sender: Sender | None = None,
    ) -> bytes:
        """Call a tool for the request that the calling thread handles, and wait for the answer.

        The behavior must not be one that runs ``aside``.

        Args:
            context: gRPC's ``ServicerContext`` of the request.
            responses: makes the messages that answer it.
            tool: the tool's name.
            params: its arguments, by position or by name.
            session: what the tool sees as its session; default: none.
            metadata: what it sees as its metadata; default: nothing.
            headers: whether it sees the metadata of gRPC beside that.
            sender: where its items, progress and log lines go; without one it must not stream.

        Returns:
            The message of the result, no larger than a client may be sent.

        Raises:
            CallError: the call has failed, or was not made; the behavior has to answer with it.
        """
        exchange = Exchange(
            self._dispatcher, self._executor, context, responses, self._max_message_bytes, sender
        )
        return exchange.serve(tool, params, session, metadata, headers)

    def open_stream(self, send: Callable[[bytes | None], object]) -> Sender:
        """A sender for a behavior that is ``experimental_non_blocking``; ``send``: gRPC's."""
        return Sender(send, self._max_message_bytes, self._drops)

    def decode(self, data: bytes) -> Any:
        """The value of MessagePack.

        Raises:
            RemoteProtocolError: it is none, or would cost too much to read.
        """
        return decode_value(data, self.max_message_items)

    def encode(self, value: Any, name: str, *, tables: bool = False) -> bytes:
        """A value as MessagePack.

        Args:
            value: whatever a tool has returned or yielded.
            name: what an error calls it: "result" or "item".
            tables: whether the caller takes extension 3.

        Raises:
            EncodeError: it has no form, with the path to the part at fault.
        """
        threads = self._threads
        encoder = threads.encoder if tables else threads.encoder_without_tables
        return encoder.value(value, name)

    # -- for all others ---------------------------------------------------------------------

    def lasting(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """``behavior``, a stream of requests, on a thread of its own for as long as it lasts."""
        return mark(behavior, place=Place.LASTING)

    def aside(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """``behavior``, but run on threads that no tool occupies. Not for long work."""
        return mark(behavior, place=Place.ASIDE)

    def describe_tools(self) -> list[dict[str, Any]]:
        """All tools as ``$/tools`` has them, sorted by name."""
        return self._dispatcher.describe_tools()

    def stats(self) -> dict[str, Any]:
        """What is going on and what was counted, as ``$/stats`` has it, the notes ``dropped``, and
        the ``limits`` of messages.
        """
        limits = {
            "max_message_bytes": self._max_message_bytes,
            "max_message_items": self.max_message_items,
        }
        return {**self._dispatcher.stats(), "dropped": self._drops.count, "limits": limits}

    def stacks(self) -> dict[str, Any]:
        """Where every tool is now, as ``$/stacks`` has it."""
        return self._dispatcher.stacks()
