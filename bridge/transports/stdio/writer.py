"""Messages to a pipe, many with one system call.

One write for each reply is what sinks a pool of threads: each costs a system call and a hand-over
of the GIL. So workers only queue their replies, and ``Writer`` writes all that are queued at once:
at the latest when a worker finds no more work, or when its own thread gets its turn.

Guarantees: each frame is written whole, in the order in which messages were queued; nothing stays
queued once every flush has returned; ``send`` never blocks; after the peer is gone nothing is
written any more, and ``closed`` is called once. Assumes that ``append`` and ``popleft`` of
``deque`` are atomic, which they are with the GIL and without.

Any thread runs ``send``, ``flush``, ``flush_and_wait``, ``nudge`` and ``finish``; ``_run`` is the writer's own.
The one that holds ``_writing`` writes.

The interleavings, each with its number where it is harmless and why (and its test):

1. A message is queued after the last look of the thread that writes, whose lock keeps the flush
   of the other one from doing anything. Whoever has written looks again when the lock is free.
   (``test_a_message_that_comes_at_the_end_of_a_flush_is_written``)
2. A message has been taken out of the queue, but is not written yet, when somebody must be sure
   that it is. ``flush_and_wait`` waits for the lock even if nothing is queued.
   (``test_to_wait_for_the_flush_is_to_wait_for_what_another_thread_writes``)
3. A message is queued and the writer's thread nudged while that ends its flush. It takes the
   nudge as taken before it flushes, so that a later one counts.
   (``test_a_nudge_at_the_end_of_a_flush_is_not_lost``)
4. Two threads find the peer gone. The first to hold the lock says so, the other one no more.
   (``test_a_peer_that_is_gone_is_told_once``)
5. A message is queued while the last one is written, or later. Whoever flushes drops it, as for a
   peer that is gone. (``test_nothing_follows_the_last_message``)
"""

from __future__ import annotations

import os
import threading
from collections import deque

from ...calls import Output
from ...threads import SimpleQueue, start_thread
from ...wire import BATCH_HEADER_BYTES, HEADER_BYTES, LARGE_BYTES, begin_batch, encode_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire import Payload

#: Messages below this size count for so much in the backlog: to count them needs no lock.
SMALL_BYTES = 1 << 12
_NO_HEADER = bytes(BATCH_HEADER_BYTES)
#: How many buffers one system call takes (IOV_MAX).
_MAX_BUFFERS = 1024


class Writer(Output):
    """Frames messages and writes them to a descriptor. Any thread may use it.

    ``closed``: called once, by the thread that finds that nobody reads any more.
    """

    def __init__(self, descriptor: int, closed: Callable[[], object]) -> None:
        self._descriptor = descriptor
        self._closed = closed
        self._queue: deque[Payload] = deque()
        self._writing = threading.Lock()
        self._broken = False
        self._batches = False
        self._large = 0  # bytes of large messages in _queue
        self._counting = threading.Lock()
        self._nudges: SimpleQueue[None] = SimpleQueue()
        self._nudged = False
        self._has_thread = start_thread(
            threading.Thread(target=self._run, name="bridge-writer", daemon=True)
        )

    @property
    def backlog(self) -> int:
        """How many bytes wait to be written, at most."""
        return self._large + len(self._queue) * SMALL_BYTES

    def batch(self) -> None:
        """From now on, make one frame of many small messages: the peer has said that it takes that."""
        self._batches = True

    def waits(self) -> bool:
        """Whether something is to be written."""
        return bool(self._queue)

    def send(self, message: Payload) -> int:
        """Queue a message. It is written by the next ``flush``, whoever calls that. Never blocks.

        Returns:
            Its size.
        """
        size = len(message)
        if size >= SMALL_BYTES:
            with self._counting:
                self._large += size
        self._queue.append(message)
        return size

    def flush(self) -> None:
        """Write what is queued, or leave it to the thread that is writing just now."""
        while self._queue and self._writing.acquire(blocking=False):  # (1)
            self._write_and_release()

    def flush_and_wait(self) -> None:
        """Write what is queued; blocks as long as another thread writes, or the peer does not read.

        What another thread has taken out of the queue is written when this returns, too.
        """
        while True:
            self._writing.acquire()  # (2)
            self._write_and_release()
            if not self._queue:
                return

    def finish(self, message: bytes) -> None:
        """Write what is queued, then the last message; what is queued later is dropped.

        Blocks as ``flush_and_wait`` does.
        """
        self._writing.acquire()
        try:
            self._write()
            if not self._broken:
                self._write_all([encode_header(len(message)) + message])
        except OSError:
            pass  # the peer is gone, and there is nothing more to say to it
        finally:
            self._broken = True  # (5)
            self._writing.release()

    def nudge(self) -> None:
        """Have the writer's own thread flush soon; the caller has more to do first."""
        if not self._has_thread:
            self.flush()  # the caller waits for a peer that does not read
        elif not self._nudged and self._queue:
            self._nudged = True
            self._nudges.put(None)

    def _run(self) -> None:
        while True:
            self._nudges.get()
            self._nudged = False  # (3)
            self.flush()

    def _write_and_release(self) -> None:
        try:
            self._write()
        except OSError:
            # EPIPE: the peer is gone, and with it everybody who waits for these replies
            first, self._broken = not self._broken, True  # (4)
            if first:
                self._closed()
        finally:
            self._writing.release()

    def _write(self) -> None:
        queue = self._queue
        if len(queue) == 1 and not self._broken and len(queue[0]) < SMALL_BYTES:
            # as below, without what is for many: an answer while nothing else is called
            data = encode_header(len(queue[0])) + queue[0]  # type: ignore[operator]
            queue.popleft()
            self._write_small(data)
            if not queue:
                return
        # so many frames are in ``small``, behind the place for the header of a batch
        small, frames, filled = bytearray(_NO_HEADER), 0, BATCH_HEADER_BYTES
        while queue:
            message = queue.popleft()
            size = len(message)
            if size >= SMALL_BYTES:
                with self._counting:
                    self._large -= size
            if self._broken:
                continue
            if size < LARGE_BYTES:
                try:
                    small += encode_header(size)
                    small += message  # type: ignore[arg-type]  # parts are larger
                except MemoryError:
                    # without a copy: it is out of the queue, and would be lost
                    del small[filled:]
                else:
                    frames += 1
                    filled += HEADER_BYTES + size
                    if filled >= LARGE_BYTES:
                        self._write_small(self._join(small, frames))
                        small, frames, filled = bytearray(_NO_HEADER), 0, BATCH_HEADER_BYTES
                    continue
            rest = [message] if isinstance(message, bytes) else message.buffers
            self._write_all([self._join(small, frames), encode_header(size), *rest])
            small, frames, filled = bytearray(_NO_HEADER), 0, BATCH_HEADER_BYTES
        if frames:
            self._write_small(self._join(small, frames))

    def _join(self, small: bytearray, frames: int) -> memoryview:
        """What is written of the frames in ``small``: the frames, or one batch of them."""
        if frames > 1 and self._batches:
            begin_batch(small)
            return memoryview(small)
        return memoryview(small)[BATCH_HEADER_BYTES:]

    def _write_small(self, data: bytes | memoryview) -> None:
        written = os.write(self._descriptor, data)
        if written < len(data):
            self._write_all([data[written:]])

    def _write_all(self, buffers: list[bytes | bytearray | memoryview]) -> None:
        for start in range(0, len(buffers), _MAX_BUFFERS):
            some = buffers[start : start + _MAX_BUFFERS]
            written = os.writev(self._descriptor, some)
            for buffer in some:
                rest = memoryview(buffer)[written:]
                written = max(0, written - len(buffer))
                while rest:  # a signal came in between
                    rest = rest[os.write(self._descriptor, rest) :]
