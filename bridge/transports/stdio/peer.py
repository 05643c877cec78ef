"""What the bridge says to the program at the other end of the pipes."""

from __future__ import annotations

import threading
import time

from ...calls import EXHAUSTED, Peer
from ...errors import CallError
from ...wire import LentMessage, exactly, sendable, told_key
from .writer import SMALL_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ...calls import CallView
    from ...wire import Fault, Payload
    from .channel import Channel
    from .stream import Stream

#: What is longer in a line of progress or log is cut.
_MAX_NOTE_BYTES = 1 << 16
#: Between two attempts to have the few bytes for an answer.
_PAUSE_S = 0.01
#: An id of nine bytes.
_LONG_ID = 2**64 - 1


class StdioPeer(Peer):
    """The one peer of a process that serves stdio. Any thread may use it.

    Args:
        channel: the way to it.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._connection = channel.connection
        self._writer = channel.writer
        self._own = channel.own
        #: Calls that run on workers, by key, if results are to tell how long they have waited.
        self._timed: Mapping[int, CallView] | None = None
        #: Streams that wait for credit, by the key of their call.
        self._paused: dict[int, Stream] = {}
        self._counting = threading.Lock()
        #: How many lines of progress and log were dropped because the peer does not read.
        self.dropped = 0
        self._ended = False
        # made while there is memory: what comes before the id of a call, and after it
        data = self._own.encoder.error(_LONG_ID, EXHAUSTED.to_wire())
        self._exhausted = data.split(_LONG_ID.to_bytes(8, "big"))

    @property
    def plain_streams(self) -> bool:  # type: ignore[override]
        return self._channel.hello.plain_streams

    def tell_queue_times(self, calls: Mapping[int, CallView]) -> None:
        """Have results tell how long their calls have waited. ``calls``: those without an answer."""
        self._timed = calls

    # -- of the process ---------------------------------------------------------------------

    def ready(self, info: dict[str, Any]) -> None:
        """Tell the peer that the bridge serves: the first message."""
        self._notify("$/ready", [info])
        self._writer.flush()

    def signal(self, name: str) -> None:
        """Tell the peer of a signal that it decides about."""
        self._notify("$/signal", [name])
        self._writer.nudge()

    def refuse(self, error: CallError) -> None:
        """Tell the peer why the bridge cannot start, and wait until that is written."""
        self._notify("$/error", [error.to_wire()])
        self._writer.flush_and_wait()

    def answer(self, key: int, result: Any) -> None:
        """Answer a request to the bridge itself. Does not wait for a peer that does not read."""
        self._writer.send(self._connection.result(self._own.encoder, key, result))

    def fault(self, fault: Fault) -> None:
        """Say that something came which is wrong, and ends no request in flight."""
        self._writer.send(self._connection.fault(self._own.encoder, fault))

    def flush(self) -> None:
        """Write what waits, unless another thread does it just now."""
        self._writer.flush()

    def bye(self, reason: str) -> None:
        """Say the last message. Returns when all is written: a peer that does not read blocks it."""
        self._ended = True
        self._writer.finish(self._own.encoder.notification("$/bye", [reason]))

    # -- of its calls (calls.interfaces.Peer) -----------------------------------------------

    def prepare_result(self, key: int, result: Any) -> Payload:
        if self._timed is None:
            return self._own.encoder.result(key, result)
        call = self._timed.get(key)  # the thread that reads runs others, which have not waited
        return self._own.encoder.timed_result(key, result, 0.0 if call is None else call.waited_s)

    def send_result(self, key: int, result: Payload) -> None:
        message = self._connection.answered(key, result)
        if type(message) is LentMessage:
            message.loan.hand_over()
        try:
            size = self._writer.send(message)
        except MemoryError:
            self._send_exhausted(key)  # nobody else will, as the request is over
            return
        if size >= SMALL_BYTES and self._channel.is_flooded:
            # the worker makes no more of it; a reader that runs quick calls is watched
            self._writer.flush_and_wait()

    def send_error(self, key: int, error: CallError) -> None:
        message = self._connection.error(self._own.encoder, key, error)
        try:
            with self._channel.order:
                self._writer.send(message)
        except MemoryError:
            self._send_exhausted(key)
            return
        self.wake_stream(key)  # (2) of stream.py
        self._writer.nudge()

    def send_exhausted(self, key: int) -> None:
        if self._connection.forget(key):
            self._send_exhausted(key)

    def open_stream(self, call: CallView) -> Stream:
        from .stream import Stream  # with the first

        return Stream(self._channel, call, self._paused)

    def wake_stream(self, key: int) -> None:
        """Have the worker of a call look again whether it has credit, if it waits for some."""
        stream = self._paused.get(key)
        if stream is not None:
            stream.wake()

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        message = self._encode_if_read("$/progress", [key, done, total, text])
        if message is None:
            return
        with self._channel.order:
            if self._connection.is_in_flight(key):
                self._writer.send(message)
        self._writer.nudge()

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> bool:
        """Whether there is a peer that will get it, or from which it was dropped."""
        if self._ended:
            return False
        if key is not None and not self._send_log_of_call([level, logger, text, fields, key], key):
            key = None  # it was answered meanwhile
        if key is None:
            message = self._encode_if_read("$/log", [level, logger, text, fields, None])
            if message is not None:
                self._writer.send(message)
        self._writer.nudge()
        return True

    def _send_log_of_call(self, params: list[Any], key: int) -> bool:
        """False if the call has its answer: nothing with its id may follow."""
        message = self._encode_if_read("$/log", params)
        with self._channel.order:
            if message is not None:
                if not self._connection.is_in_flight(key):
                    return False
                self._writer.send(message)
        return True

    # -- parts ------------------------------------------------------------------------------

    def _send_exhausted(self, key: int) -> None:
        while True:
            try:
                message = self._exhausted[0] + key.to_bytes(8, "big") + self._exhausted[1]
                with self._channel.order:
                    self._writer.send(message)
                break
            except MemoryError:
                time.sleep(_PAUSE_S)  # others end meanwhile, and give some back
        self.wake_stream(key)
        self._writer.nudge()

    def _notify(self, method: str, params: list[Any]) -> None:
        self._writer.send(self._own.encoder.notification(method, params))

    def _encode_if_read(self, method: str, params: list[Any]) -> bytes | None:
        """A notification, or None if the peer does not read: then it is dropped, and counted."""
        if self._ended or self._channel.is_flooded:
            with self._counting:
                self.dropped += 1
            return None
        encoder = self._own.encoder
        try:
            message = encoder.notification(method, exactly(params), told_key)
            if len(message) <= _MAX_NOTE_BYTES:
                return message
        except BaseException:
            pass  # code of the tool's classes, SystemExit included
        return encoder.notification(method, [sendable(param) for param in params])
