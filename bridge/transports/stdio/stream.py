"""The items of one call to the peer of a pipe, at the peer's pace."""

from __future__ import annotations

import threading

from ...calls.interfaces import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...calls.interfaces import CallView
    from .channel import Channel


class Stream(Sink):
    """The way of one call's items to the peer. The call's worker uses it; ``wake`` is for others.

    Args:
        channel: the way to the peer.
        call: whose items these are.
        paused: where the stream stands, under the key of its call, while it waits for credit.
    """

    __slots__ = ("_look", "_channel", "_call", "_credit", "_paused")

    def __init__(self, channel: Channel, call: CallView, paused: dict[int, Stream]) -> None:
        self._look = threading.Event()
        self._channel = channel
        self._call = call
        self._credit = channel.connection.credit(call.key)
        self._paused = paused

    def wake(self) -> None:
        """Have the worker look again: there may be credit, or the call was answered. Any thread."""
        self._look.set()

    def wait(self) -> None:
        credit, call, channel = self._credit, self._call, self._channel
        if channel.is_flooded:
            # it has given credit, but does not read
            channel.writer.flush_and_wait()
        if credit is None or credit.available:
            return
        channel.writer.flush()
        self._paused[call.key] = self
        while not credit.available and call.interruption is None:
            self._look.wait()
            self._look.clear()
        del self._paused[call.key]

    def send(self, item: Any) -> None:
        channel, key, credit = self._channel, self._call.key, self._credit
        connection, writer = channel.connection, channel.writer
        message = connection.item(channel.own.encoder, key, credit, item)
        with channel.order:
            if connection.credit(key) is not credit:
                return  # answered meanwhile: nobody waits for the item
            writer.send(message)
        writer.nudge()
