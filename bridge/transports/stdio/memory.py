"""Large data of one pipe, beside it: the places in shared memory that this process and its peer give each other.

Everything here falls back to the pipe: without a file in memory, without room, with a peer that cannot
open the file. What makes places is loaded when the first is needed.
"""

from __future__ import annotations

import threading

from ...errors import CallError, InvalidParams, RemoteProtocolError
from ...threads import start_thread
from ...wire import Lender, LentMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...shared_memory import Arena, MemoryFile
    from ...wire import LentReceived, Request
    from ...wire.collected import Collected

#: So long a message waits for the peer to say whether it can open the file, in seconds; once for each file.
_WAIT_S = 1.0
#: Without use, the file is given back after so long, in seconds.
_IDLE_S = 30.0


class StdioMemory(Lender):
    """What of messages goes through shared memory. Any thread may use it.

    Args:
        notify: Sends the peer a notification, at once.
        max_bytes: So much memory may be used.
        least: Smaller data stays in the message.
        max_message_bytes: The limit of a message from the peer, with what it has in shared memory.
    """

    def __init__(
        self,
        notify: Callable[[str, list[Any]], object],
        max_bytes: int,
        least: int,
        max_message_bytes: int,
    ) -> None:
        self._notify = notify
        self._max_bytes = max_bytes
        self._least = least
        self._max_message_bytes = max_message_bytes
        self._lock = threading.Lock()
        self._arena: Arena | None = None
        #: Whether the peer can open the newest file; None: it has not said so yet.
        self._opened: bool | None = None
        self._token = b""
        self._said = threading.Event()
        self._waits = True
        #: The process ends: nothing more is lent or granted.
        self._ends = False

    # -- to the peer (wire.Lender) ----------------------------------------------------------

    def collect(self) -> Collected:
        from ...wire.collected import Collected

        return Collected(self._least)

    def lend(self, message: bytes, collected: Collected) -> LentMessage | None:
        if self._opened is False or self._ends:
            return None
        found = self._get_arena().fill(collected.size)
        if found is None:
            return None
        place, loan = found
        if not self._is_opened(place.file):
            return None
        try:
            for offset, data in collected.parts:
                place.file.write(place.offset + offset, data)
        except OSError:
            return None
        lent = LentMessage(collected.prefix(place.number, place.offset) + message)
        lent.weight = len(message) + collected.size
        lent.loan = loan
        return lent

    # -- from the peer ----------------------------------------------------------------------

    def reserve(self, request: Request, answer: Callable[[Any], object]) -> None:
        """Give the peer a place for a message, or say that there is none. The reader calls it.

        Args:
            request: ``$/reserve [bytes]``.
            answer: Called once, here or by another thread: with the place, or with None.

        Raises:
            InvalidParams: It is malformed; ``answer`` is not called.
        """
        params = request.params
        if (
            type(params) is not list
            or len(params) != 1
            or type(params[0]) is not int
            or params[0] < 1
        ):
            raise InvalidParams("$/reserve takes [bytes], an integer of 1 or more")
        (size,) = params
        if size > self._max_message_bytes or self._opened is False or self._ends:
            answer(None)
            return
        arena = self._get_arena()
        place = arena.grant(size, grow=False)
        if place is not None or not arena.can_grow(size):
            answer(_describe(place) if place is not None else _describe(arena.grant(size)))
            return
        # to reserve memory takes milliseconds, which the reader has not
        grow = threading.Thread(
            target=lambda: answer(_describe(arena.grant(size))), name="bridge-memory", daemon=True
        )
        if not start_thread(grow):
            answer(_describe(arena.grant(size)))  # the pipe would take longer, and more memory

    def receive(self, method: str, params: list[Any]) -> None:
        """Hear that the peer gives a place back, or whether it can open the file. The reader calls it."""
        if method == "$/release":
            if self._arena is not None and params:
                self._arena.release(params[0])
        elif len(params) == 2 and params[0] == self._token and type(params[1]) is bool:
            self._opened = params[1]
            self._said.set()

    def forked(self) -> None:
        """In a process that a tool has forked: it would take the same places as its parent, and write over them."""
        self._opened = False

    def accept(self, event: LentReceived) -> Any:
        """Take the place of a message that has come, which is given back with what is returned.

        Raises:
            CallError: The peer has no such place, or the message is too large.
        """
        from ...shared_memory import Held

        number, offset, size = event.place
        try:
            if self._arena is None:
                raise ValueError(f"there is no place {number}: none was asked for")
            held = Held(self._arena, self._arena.hold(number, offset, size))
        except ValueError as error:
            raise CallError(str(error), code="invalid_argument", started=False) from None
        if size > self._max_message_bytes:
            raise CallError(
                f"a message of {size} bytes in shared memory, but the limit is "
                f"{self._max_message_bytes} (--max-message-bytes)",
                code="resource_exhausted",
                started=False,
            )
        return held

    def put_into(self, request: Request, held: Any) -> None:
        """Have the tool of a request get what lies in shared memory; of the bridge's own, at once.

        Raises:
            CallError: An argument of the bridge's own is malformed.
        """
        from ...shared_memory import LentArguments, materialize

        if not request.method.startswith("$/"):
            request.options.lent = LentArguments(held)  # type: ignore[union-attr]
            return
        try:
            request.params = materialize(request.params, held)
        except RemoteProtocolError as error:
            raise error.to_call_error() from None

    # -- of the process ---------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What ``$/stats`` shows."""
        there: dict[str, Any] = {
            "available": self._opened is not False,
            "limit_bytes": self._max_bytes,
        }
        if self._arena is None:
            account = {"messages": 0, "bytes": 0, "refused": 0, "refused_bytes": 0}
            there |= {"reserved_bytes": 0, "used_bytes": 0, "places": 0, "trouble": None}
            there |= {"sent": account, "received": account}
        else:
            there |= self._arena.describe()
        if self._opened is False:
            there["trouble"] = "the peer cannot open the file through /proc"
        return there

    def drain(self) -> None:
        """Send what comes now through the pipe: that can be read when this process is no more."""
        self._ends = True

    def is_read(self) -> bool:
        """Whether the peer has given back the places of all messages. Any thread."""
        return self._arena is None or not self._arena.lends()

    def let_go(self) -> None:
        """Give memory back that nobody has used for long. The main thread, now and then."""
        if self._arena is not None:
            self._arena.let_go(_IDLE_S)

    # -- parts ------------------------------------------------------------------------------

    def _get_arena(self) -> Arena:
        with self._lock:
            if self._arena is None:
                from ...shared_memory import Arena

                self._arena = Arena(self._max_bytes, self._announce)
            return self._arena

    def _announce(self, file: MemoryFile) -> None:
        self._token, self._opened, self._waits = file.token, None, True
        self._said.clear()
        self._notify("$/memory", [file.pid, file.descriptor, file.token])

    def _is_opened(self, file: MemoryFile) -> bool:
        if self._opened is None and self._waits:
            self._said.wait(_WAIT_S)
            self._waits = False
        return self._opened is True and file.token == self._token


def _describe(place: Any) -> list[Any] | None:
    """A place as ``$/reserve`` answers it."""
    if place is None:
        return None
    file = place.file
    return [place.number, place.offset, file.pid, file.descriptor, file.token]
