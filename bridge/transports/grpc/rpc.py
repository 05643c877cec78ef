"""A request that gRPC has handled by a pool of threads, and what each of those threads keeps."""

from __future__ import annotations

import threading
import time
from collections import deque

from ...calls.job import Job
from ...wire.codec import Encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls.job import SerialQueue, Worker
    from ...errors import CallError
    from .server import GrpcTransport

#: For what another thread is just about to do.
MOMENT_S = 0.0005


class Rpc(Job):
    """One request as a job of the pool, and the Future that gRPC wants to have for it."""

    serial: SerialQueue | None = None
    #: Why no tool shall run; set before the request is handled.
    refusal: CallError | None = None
    _has_begun = False
    _lost_place = False

    def __init__(
        self,
        transport: GrpcTransport,
        key: int,
        function: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        self.key = key
        self.arrived = self.began = time.monotonic()
        #: The worker that handles the request, until somebody takes its place.
        self._place: list[Worker] = []
        self._transport = transport
        self._function = function
        self._args = args
        self._callbacks: deque[Callable[[Rpc], object]] = deque()
        self._done = False

    def run(self, worker: Worker, now: float) -> float:
        """Handle the request on a worker. The pool calls it."""
        self.began = now
        self._place.append(worker)
        thread = worker.thread
        self.handle()
        if self._lost_place:
            while worker.thread is thread:  # whoever took it is just about to
                time.sleep(MOMENT_S)
        return time.monotonic()

    def begin(self) -> Worker | None:
        """The message is here. The worker that may run its tool; None if its place was taken."""
        self._has_begun = True
        worker = self.take_place()
        self._lost_place = worker is None
        return worker

    def take_place(self) -> Worker | None:
        """The worker that handles the request; None if its place was taken before. Any thread."""
        try:
            return self._place.pop()
        except IndexError:
            return None

    def handle(self) -> None:
        """Have gRPC receive the request, call its behavior, and answer."""
        threads = self._transport.threads
        threads.rpc = self
        try:
            self._function(*self._args)
        finally:
            if not self._has_begun:
                self._lost_place = self.take_place() is None
            # what they hold must not live until the thread's next request
            threads.rpc = None
            del self._function, self._args
            self._done = True
            self._transport.completed.append(self)

    def add_done_callback(self, callback: Callable[[Rpc], object]) -> None:
        """Run ``callback`` soon after the request was handled; now if it was."""
        self._callbacks.append(callback)
        if self._done:
            self.run_callbacks()

    def run_callbacks(self) -> None:
        """Tell who wanted to know that the request has been handled."""
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return  # another thread was faster
            callback(self)


class PerThread(threading.local):
    """What each thread has for itself: an encoder, and the request that it handles."""

    rpc: Rpc | None = None

    def __init__(self) -> None:
        self.encoder = Encoder()


def mark(behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """``behavior`` with attributes that gRPC looks for; a bound method cannot have them."""

    def marked(*args: Any) -> Any:
        return behavior(*args)

    marked.__dict__.update(marks)
    return marked
