"""What an engine is made of: subclass ``Cluster`` and ``Place`` to add one.

A ``Work`` is one call, as it travels. What comes back are events, tuples whose first field says
what they are: ``("item", value)``, ``("progress", done, total, text)``, ``("log", level, text,
fields)``, and last ``("result", value)`` or ``("error", error as a map of the protocol)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

Event = tuple[Any, ...]
#: So many items of a stream may be on their way.
WINDOW = 16


class Lost(Exception):
    """The process, or the machine, where a call ran is gone; the message says what is known.

    ``started``: whether the call may have begun there.
    """

    def __init__(self, message: str, started: bool = True) -> None:
        super().__init__(message)
        self.started = started


class Work:
    """One call, for another process. Can be pickled.

    Args:
        key: unique in the process that is called.
        tool: its name.
        params: by position in a list, or by name in a dict.
        timeout_s: what is left of its time, in seconds; None: for ever.
        session: of the caller.
        metadata: of the caller.
        streams: whether the tool sends items.
        tells: whether there may be other events than the last one.
    """

    __slots__ = (
        *("key", "tool", "params", "timeout_s", "session", "metadata", "streams", "tells"),
    )

    def __init__(
        self,
        key: int,
        tool: str,
        params: list[Any] | dict[str, Any],
        timeout_s: float | None,
        session: str | None,
        metadata: Mapping[str, str],
        streams: bool,
        tells: bool,
    ) -> None:
        self.key = key
        self.tool = tool
        self.params = params
        self.timeout_s = timeout_s
        self.session = session
        self.metadata = dict(metadata)
        self.streams = streams
        self.tells = tells


class Host(Protocol):
    """What a replica runs: an instance of the adapter, and its tools. Any thread may use it."""

    def start(self, work: Work, send: Callable[[Event], object]) -> None:
        """Begin a call. Its events are given to ``send``, on any thread; the last one always comes.

        ``send`` raises ``EncodeError`` for what cannot be sent.
        """
        raise NotImplementedError

    def run(self, work: Work, send: Callable[[Event], object]) -> None:
        """The same, on the calling thread, until the call has ended."""
        raise NotImplementedError

    def grant(self, key: int, items: int) -> None:
        """Let the call send so many items more."""
        raise NotImplementedError

    def cancel(self, key: int) -> None:
        """End a call that nobody awaits any more."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the adapter."""
        raise NotImplementedError


class Place(ABC):
    """A replica, seen from the process that is called; or where tasks run. On the loop's thread."""

    #: What people call it.
    label = ""

    @abstractmethod
    async def ready(self) -> None:
        """Wait until its adapter is set up.

        Raises:
            AdapterError: it cannot be, and will not.
            Lost: it is gone.
        """

    @abstractmethod
    def call(self, work: Work) -> AsyncIterator[Event]:
        """Run a call, and return its events. Closing the iterator early is no cancel.

        Raises:
            Lost: it is gone; before the last event.
            CallError: the arguments cannot be sent.
        """

    @abstractmethod
    def cancel(self, key: int) -> None:
        """Have a call end; its last event comes all the same, or it is lost."""

    @abstractmethod
    async def lost(self) -> str:
        """Wait until it is gone. Returns what is known of it."""

    @abstractmethod
    def end(self) -> None:
        """End it now."""


class Cluster(ABC):
    """Where replicas are started. On the loop's thread."""

    @abstractmethod
    async def connect(self) -> None:
        """Make it usable, or say how it would be. Raises ``AdapterError``."""

    @abstractmethod
    def new_place(self) -> Place:
        """Start a replica."""

    @abstractmethod
    def tasks(self, needs: Mapping[str, float]) -> Place:
        """Where calls run that need no replica of their own; ``needs`` are resources, by name."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""
