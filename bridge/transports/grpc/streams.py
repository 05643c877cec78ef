"""Streams of requests, each of which has a thread: bounded in number, and in time unless it may last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import inf

from .awaited import Awaited
from .behavior import Place
from .rpc import Rpc

#: Of either kind; and how long one lasts that may not last.
_MAX_STREAMS, _STREAM_S = 16, 60.0


class RequestStreams:
    """Answers the streams that clients send, on threads that no tool occupies."""

    def __init__(self) -> None:
        self._streams = {
            Place.STREAM: Awaited(_MAX_STREAMS, _STREAM_S),
            Place.LASTING: Awaited(_MAX_STREAMS, inf),
        }
        self._threads = ThreadPoolExecutor(2 * _MAX_STREAMS, "bridge-grpc-stream")

    def run(self, rpc: Rpc, place: Place) -> None:
        """Have a stream answered on a thread of its own, if there is one left. Does not block."""
        streams = self._streams[place]
        if len(streams) >= streams.limit:
            rpc.turn_away(streams.too_many())
            return
        streams.add(rpc)

        def run() -> None:
            try:
                rpc.handle()
            finally:
                streams.take(rpc)

        self._threads.submit(run)

    def look(self, now: float) -> None:
        """End those that have lasted too long by ``now``, an instant of ``time.monotonic()``."""
        for rpc in self._streams[Place.STREAM].take_overdue(now):
            if (reception := rpc.reception) is not None:
                reception.cancel()

    def close(self) -> None:
        """End the threads. Does not wait for them."""
        self._threads.shutdown(wait=False)
