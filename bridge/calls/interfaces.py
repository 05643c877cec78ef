"""What a transport is to the calls that it brings: subclass these to add one.

``Peer`` and ``Sink`` take the outcome of a call, ``Intake`` is where calls come from, ``Output`` is what a pool tells when its workers
pause. What the pool runs is a ``Job``, in ``job.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from ..errors import CallError
from ..running_call import Elixir
from ..typing_names import Any

#: The answer to a call for which there is no memory to make another one.
EXHAUSTED = CallError(
    "no memory is left, not even to say what became of the call",
    code="resource_exhausted",
    started=True,
)


class CallView(ABC):
    """What a transport sees of a call that runs: its key, and whether somebody still waits for it.

    ``key``: the number under which its peer knows the call. ``interruption``: why nobody waits any
    more, None while somebody does. ``metadata``, ``session``: what the caller sent along. ``waited_s``:
    how long it has waited for a worker, in seconds; 0 if it has not.
    """

    __slots__ = ()

    key: int
    interruption: CallError | None
    session: str | None
    metadata: Mapping[str, str]
    waited_s: float


class Sink(ABC):
    """The way of one call's items to its peer, at the peer's pace. The call's worker uses it."""

    __slots__ = ()

    @abstractmethod
    def wait(self) -> None:
        """Block until the peer takes another item, or the call is interrupted."""

    def is_ready(self) -> bool:
        """Whether neither ``wait`` nor ``send`` would block now. The event loop's thread asks."""
        return False

    def watch(self, look: Callable[[], object]) -> bool:
        """Have ``look`` called when ``is_ready`` may have changed, or the call was answered.

        The event loop's thread asks, so that nothing has to ``wait``. Any thread may call ``look``, once
        or more; from then on ``unwatch`` ends it.

        Returns:
            False if nobody would: ``wait`` does what is needed. Default.
        """
        return False

    def unwatch(self) -> None:  # noqa: B027  those that watch nothing have nothing to end
        """End what ``watch`` began. The event loop's thread calls it."""

    @abstractmethod
    def send(self, item: Any) -> None:
        """Send an item.

        Args:
            item: whatever the tool yielded.

        Raises:
            EncodeError: it has no form on the wire; nothing was sent.
        """


class Peer(ABC):
    """Where the outcome of a call goes: a transport. Any thread may call any of these.

    ``plain_streams``: whether a tool that does not yield may be called as a stream; it sends no items.
    """

    __slots__ = ()

    #: The way back to the program that calls; None: there is none.
    elixir: Elixir | None = None
    plain_streams: bool = True

    def prepare_result(self, key: int, result: Any) -> Any:
        """Give what a tool returned the form that ``send_result`` takes; default: as it is.

        Code of the result may run for it, and for long: others may end the call meanwhile.

        Raises:
            EncodeError: the result has no form on the wire.
        """
        return result

    @abstractmethod
    def send_result(self, key: int, result: Any) -> None:
        """Answer the call ``key``.

        Args:
            key: of the call, which the caller has claimed.
            result: what ``prepare_result`` returned.

        Raises:
            EncodeError: the result has no form on the wire; nothing was sent.
        """

    @abstractmethod
    def send_error(self, key: int, error: CallError) -> None:
        """Answer the call ``key`` with an error. Never raises."""

    def send_exhausted(self, key: int) -> None:
        """Answer the call ``key``, for which two answers could not be made or sent, somehow.

        Where memory has run out, nothing but what is made beforehand may be had. If part of an answer
        is on its way already, this does nothing. Never raises.
        """
        self.send_error(key, EXHAUSTED)

    @abstractmethod
    def open_stream(self, call: CallView) -> Sink:
        """Return where the items of a streaming call go."""

    @abstractmethod
    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        """Send it, or drop it if the peer does not read. Never blocks, never raises."""

    @abstractmethod
    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> object:
        """Send it, or drop it if the peer does not read. Never blocks, never raises."""


class Intake(ABC):
    """Where requests come from, for a drain that must not lose one."""

    __slots__ = ()

    @abstractmethod
    def stop(self) -> None:
        """Take no more requests; those that were taken are still handed on. Any thread, once."""

    @abstractmethod
    def hands_on(self) -> bool:
        """Whether requests were taken that the dispatcher may not know of yet. Any thread."""

    def is_read(self) -> bool:
        """Whether the peer needs this process no more to read the answers that it has got. Any thread."""
        return True


class Output:
    """What workers leave behind to be written, for a pool: this one has nothing to write."""

    __slots__ = ()

    def waits(self) -> bool:
        """Whether something is to be written. Any thread, often; must be cheap."""
        return False

    def flush(self) -> None:
        """Write what waits. A worker calls it before it sleeps."""

    def nudge(self) -> None:
        """Have what waits written soon. A worker that has no sleeper to wake calls it."""
