"""The items of one call to the peer of a pipe, at the peer's pace.

Guarantees: no item is sent without credit, none after the answer of its call, and none under an id
that another call uses; a worker that waits for credit goes on when some comes, and when its call
is answered. Assumes that whoever interrupts a call sets its ``interruption`` before it sends the
answer. The call's worker runs ``wait`` and ``send``, or the event loop's thread ``watch``, ``unwatch`` and
``send``; the reader, or whoever answers, ``wake``.

The interleavings, each with its number where it is harmless and why (and its test):

1. Credit comes between the worker's look and its waiting. The stream can be found before that
   look, and the event that ``wake`` sets stays set until the worker has waited for it.
   On the event loop nobody waits: what is called by ``wake`` is noted before the stream can be found, and
   the look comes after that. (``test_credit_that_comes_while_the_worker_begins_to_wait_is_noticed``,
   ``test_a_stream_waits_for_its_peer_without_a_thread_where_it_is_told``)
2. The call is answered by another thread while its worker waits: no credit will come any more.
   Whoever answers wakes the stream, which sees that it was interrupted.
   (``test_an_answer_wakes_the_worker_that_waits_for_credit``)
3. The call is answered between the encoding of an item and its sending. Under the lock that keeps
   answers last the worker looks again whether the credit is still that of the call.
   (``test_an_answer_that_overtakes_an_item_is_the_last_word``)
4. The call is answered, and the peer uses its id for another stream before the first one's worker
   has woken up. A stream takes only itself away from where streams are found.
   (``test_a_stream_whose_id_was_used_before_is_found``)
"""

from __future__ import annotations

import threading

from ...calls import Sink
from ...wire import LentMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import CallView
    from .channel import Channel


class Stream(Sink):
    """The way of one call's items to the peer. The call's worker uses it; ``wake`` is for others.

    Args:
        channel: the way to the peer.
        call: whose items these are.
        paused: where the stream stands, under the key of its call, while it waits for credit.
    """

    __slots__ = ("_look", "_watcher", "_channel", "_call", "_credit", "_paused")

    def __init__(self, channel: Channel, call: CallView, paused: dict[int, Stream]) -> None:
        self._look = threading.Event()
        self._watcher: Callable[[], object] | None = None
        self._channel = channel
        self._call = call
        self._credit = channel.connection.credit(call.key)
        self._paused = paused

    def wake(self) -> None:
        """Have the worker look again: there may be credit, or the call was answered. Any thread."""
        self._look.set()
        watcher = self._watcher
        if watcher is not None:
            watcher()

    def wait(self) -> None:
        credit, call, channel = self._credit, self._call, self._channel
        if channel.is_flooded:
            # it has given credit, but does not read
            channel.writer.flush_and_wait()
        if credit is None or credit.available:
            return
        channel.writer.flush()
        self._paused[call.key] = self  # (1)
        while not credit.available and call.interruption is None:
            self._look.wait()
            self._look.clear()  # (1)
        self.unwatch()

    def is_ready(self) -> bool:
        credit = self._credit
        return not self._channel.is_flooded and (credit is None or credit.available)

    def watch(self, look: Callable[[], object]) -> bool:
        if self._channel.is_flooded:
            return False  # nobody tells of the end of that
        self._watcher = look
        self._paused[self._call.key] = self  # (1)
        return True

    def unwatch(self) -> None:
        self._watcher = None
        if self._paused.get(self._call.key) is self:  # (4)
            del self._paused[self._call.key]

    def send(self, item: Any) -> None:
        channel, key, credit = self._channel, self._call.key, self._credit
        connection, writer = channel.connection, channel.writer
        message = connection.item(channel.own.encoder, key, credit, item)
        with channel.order:
            if connection.credit(key) is not credit:  # (3)
                return  # nobody waits for the item
            if type(message) is LentMessage:
                message.loan.hand_over()
            writer.send(message)
        writer.nudge()
