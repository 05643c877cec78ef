"""Places in a file in memory: who has each, and when it is free again.

This process gives out all places, for both directions: for what it sends, and for what its peer wants to
send. A place has one owner at a time:

| state | whose it is | what ends it |
| --- | --- | --- |
| filling | a thread here, which encodes a message | the message is sent: lent; or dropped: free |
| lent | the peer's, which has a message that names it | the peer's ``$/release``: free |
| granted | the peer's, which has asked for it | its ``$/release``: free; or a message of its: held |
| held | the arguments of one call, and what its tool keeps of them | the last of them is gone: free |

Guarantees: no place is given to two, and none is free while somebody may read or write it; what the peer
says is checked against what it was given. Any thread may call anything.

The interleavings, each with its number where it is harmless and why (and its test):

1. Two threads need more memory at once. One at a time grows the file, outside of the lock that gives out
   places, so that these can be given back meanwhile; the other looks again first.
   (``test_two_threads_that_need_room_at_once_get_a_place_each``)
2. The last view of a place ends in any thread, also one that has the lock just now: a garbage collection
   comes at any time. Its end only notes the place in a queue; whoever has the lock next gives it back.
   (``test_a_view_that_ends_while_the_lock_is_held_is_given_back``)
3. The peer gives a place back before the thread that sent the message has noted that it was sent. It notes
   that before it sends. (``test_a_place_is_lent_before_its_message_is_sent``)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import count

from .free_space import PAGE_BYTES, FreeSpace, rounded
from .memory_file import TOKEN_BYTES, MemoryFile
from .system_memory import free_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: So much is reserved first; then as much again as there is, or as is needed.
_LEAST_GROWTH = 16 << 20
#: Of the memory that is free, so much (one part in so many) may be reserved at a time.
_SHARE = 2
#: After a refusal of the system it is asked again so much later, in seconds.
_PAUSE_S = 1.0
FILLING, LENT, GRANTED, HELD = "filling", "lent", "granted", "held"


class Place:
    """Some bytes of the file: ``taken`` are its own, ``size`` of them are used."""

    __slots__ = ("number", "offset", "size", "taken", "state", "file")

    def __init__(self, number: int, offset: int, size: int, state: str, file: MemoryFile) -> None:
        self.number = number
        self.offset = offset
        self.size = self.taken = size
        self.state = state
        self.file = file


class Loan:
    """A place that a message brings to the peer. A message that is dropped gives it back."""

    __slots__ = ("_arena", "_place", "__weakref__")

    def __init__(self, arena: Arena, place: Place) -> None:
        self._arena, self._place = arena, place

    def hand_over(self) -> None:
        """The message is about to be sent: the peer gives the place back."""
        self._arena.lent(self._place)  # (3)

    def __del__(self) -> None:
        place = self._place
        if place.state == FILLING:
            self._arena.drop(place)


class Account:
    """What went one way: messages in shared memory and their bytes, and those that found no room."""

    __slots__ = ("messages", "bytes", "refused", "refused_bytes")

    def __init__(self) -> None:
        self.messages = self.bytes = self.refused = self.refused_bytes = 0

    def describe(self) -> dict[str, int]:
        """As ``$/stats`` shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


class Arena:
    """The places of one process.

    Args:
        max_bytes: So much may be reserved.
        announce: Called when there is a file, before a place in it is given out.
        free: How much memory there is; default: as the system says.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        max_bytes: int,
        announce: Callable[[MemoryFile], object],
        free: Callable[[], int] = free_memory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._announce = announce
        self._free_memory = free
        self._clock = clock
        self._lock = threading.Lock()
        self._growing = threading.Lock()
        self._numbers = count(1)
        self._file: MemoryFile | None = None
        self._space = FreeSpace(TOKEN_BYTES)
        self._places: dict[int, Place] = {}
        self._dropped: deque[Place] = deque()
        self._again = self._used_at = clock()
        #: Why the last attempt to reserve memory has failed; None: it has not.
        self.trouble: str | None = None
        self.sent, self.received = Account(), Account()

    # -- places -----------------------------------------------------------------------------

    def fill(self, size: int) -> tuple[Place, Loan] | None:
        """A place for a message of this process; None: there is none. May reserve memory."""
        place = self._take(size, FILLING, self.sent)
        return None if place is None else (place, Loan(self, place))

    def grant(self, size: int, grow: bool = True) -> Place | None:
        """A place for a message of the peer's; None: there is none, or not without growing."""
        return self._take(size, GRANTED, self.received, grow)

    def can_grow(self, size: int) -> bool:
        """Whether it may be worth while to try to grow for so much."""
        return self._clock() >= self._again and self._growth(size) > 0

    def lent(self, place: Place) -> None:
        """What is in a place is sent: it is the peer's now."""
        with self._lock:
            place.state = LENT
            self.sent.messages += 1
            self.sent.bytes += place.size

    def hold(self, number: object, offset: object, size: object) -> Place:
        """The place that a message of the peer's names. ``drop`` ends that.

        Raises:
            ValueError: The peer was given no such place for a message, or has used it already.
        """
        with self._lock:
            place = self._places.get(number) if type(number) is int else None
            if place is None or place.state != GRANTED:
                raise ValueError(f"there is no place {number!r:.40} that was given to the peer")
            if offset != place.offset or type(size) is not int or not 0 < size <= place.size:
                raise ValueError(
                    f"place {number} has {place.size} bytes at {place.offset}, and not "
                    f"{size!r:.40} at {offset!r:.40}"
                )
            place.state, place.size = HELD, size
            self.received.messages += 1
            self.received.bytes += size
            return place

    def release(self, number: object) -> bool:
        """The peer gives a place back. False if it has none with that number."""
        with self._lock:
            place = self._places.get(number) if type(number) is int else None
            if place is None or place.state not in (LENT, GRANTED):
                return False
            self._give_back(place)
            return True

    def drop(self, place: Place) -> None:
        """A place is needed no more. Never waits: the end of any object may call it."""
        self._dropped.append(place)  # (2)
        if self._lock.acquire(blocking=False):
            try:
                self._collect()
            finally:
                self._lock.release()

    @property
    def is_short(self) -> bool:
        """Whether more than half of what may be reserved is in use: then views make copies."""
        used = self._space.size - self._space.free_bytes
        return 2 * used > self._max_bytes

    def lends(self) -> bool:
        """Whether the peer has a message whose place it has not given back."""
        with self._lock:
            return any(place.state == LENT for place in self._places.values())

    def describe(self) -> dict[str, Any]:
        """What ``$/stats`` shows."""
        with self._lock:
            self._collect()
            space = self._space
            reserved = 0 if self._file is None else space.size
            return {
                "reserved_bytes": reserved,
                "used_bytes": sum(rounded(place.taken) for place in self._places.values()),
                "places": len(self._places),
                "trouble": self.trouble,
                "sent": self.sent.describe(),
                "received": self.received.describe(),
            }

    def let_go(self, after_s: float) -> bool:
        """Give the file back if nobody has had a place for so long. Whether that was done."""
        with self._growing, self._lock:
            self._collect()
            if self._file is None or self._places or self._clock() - self._used_at < after_s:
                return False
            self._file.close()
            self._file, self._space = None, FreeSpace(TOKEN_BYTES)
            return True

    # -- parts ------------------------------------------------------------------------------

    def _take(self, size: int, state: str, account: Account, grow: bool = True) -> Place | None:
        place = self._try(size, state)
        if place is None and grow and self.can_grow(size):
            with self._growing:  # (1)
                place = self._try(size, state)
                if place is None and self._grow(size):
                    place = self._try(size, state)
        if place is None and grow:
            with self._lock:
                account.refused += 1
                account.refused_bytes += size
        return place

    def _try(self, size: int, state: str) -> Place | None:
        with self._lock:
            self._collect()
            file = self._file
            offset = None if file is None else self._space.take(size)
            if offset is None or file is None:
                return None
            place = Place(next(self._numbers), offset, size, state, file)
            self._places[place.number] = place
            self._used_at = self._clock()
            return place

    def _growth(self, size: int) -> int:
        """How much to reserve for ``size`` bytes; 0: that is beyond the limit."""
        there, needed = self._space.size, rounded(size)
        if needed > self._max_bytes - there:
            return 0
        most = (self._max_bytes - there) // PAGE_BYTES * PAGE_BYTES
        return min(max(needed, there, _LEAST_GROWTH), most)

    def _grow(self, size: int) -> bool:
        """Reserve more memory. With ``_growing``."""
        for more in (self._growth(size), rounded(size)):
            if not 0 < more <= self._free_memory() // _SHARE:
                self.trouble = f"the system has no {more} bytes to spare"
                continue
            try:
                if self._file is None:
                    file = MemoryFile()
                    self._announce(file)
                    self._file = file
                self._file.grow(self._space.size, more)
            except (OSError, ValueError, AttributeError) as error:
                self.trouble = f"no memory can be reserved: {error}"
                continue
            with self._lock:
                self._space.grow(more)
                self.trouble = None
            return True
        self._again = self._clock() + _PAUSE_S
        return False

    def _collect(self) -> None:
        """Give back what was dropped. With the lock."""
        while self._dropped:
            self._give_back(self._dropped.popleft())

    def _give_back(self, place: Place) -> None:
        if self._places.pop(place.number, None) is not None:
            self._space.give_back(place.offset, place.taken)
            self._used_at = self._clock()
