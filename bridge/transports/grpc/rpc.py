"""One request that gRPC has handled by a pool of threads, and what each of those threads keeps.

The numbers stand for the interleavings in ``executor.py``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ...calls import Job, SerialQueue, Worker
from ...errors import CallError, ShuttingDown
from .reception import Reception
from .status import CallStatus


class PerThread(threading.local):
    """What each thread has for itself: the request that it handles."""

    rpc: Rpc | None = None


class Rpc(Job):
    """One request as a job of the pool, and the future that gRPC wants to have for it.

    Args:
        key: under which the call of its tool is known in the process.
        function: has gRPC take the message, call the behavior, and answer. Runs once.
        args: those of ``function``.
        threads: where the thread that handles the request finds it.
        done: called with the request once it was handled, on the thread that did.
        receive: whether the message is here; if not, it is waited for elsewhere, and the request
            comes again. Called on a worker. Default: it is here.
        reception: how the message comes; None: it is here, or ``function`` waits for it.
    """

    serial: SerialQueue | None = None
    #: Why no tool shall run; set before the request is handled.
    refusal: CallError | None = None
    #: Whether the message has come, or it is known that none will.
    has_come = False
    #: The size of the message, if it is large and waits for a worker; see ``awaited.Waiting``.
    waiting_bytes = 0

    def __init__(
        self,
        key: int,
        function: Callable[..., object],
        args: tuple[Any, ...],
        threads: PerThread,
        done: Callable[[Rpc], object],
        receive: Callable[[Rpc], bool] | None = None,
        reception: Reception | None = None,
    ) -> None:
        self.key = key
        self.arrived = time.monotonic()
        self.reception = reception
        #: Released when the message has come while a worker waits for it.
        self.message = threading.Lock()
        self.message.acquire()
        self._function = function
        self._args = args
        self._threads = threads
        self._done = done
        self._receive = receive
        self._moving = threading.Lock()
        #: The worker that handles the request, until it has a call to run.
        self._worker: Worker | None = None
        #: The worker that runs the tool; None before, once it has other work, or was replaced.
        self._running: Worker | None = None
        self._callbacks: deque[Callable[[Rpc], object]] = deque()
        self._handled = False

    @property
    def peer(self) -> str:
        """The other end of its connection; empty: not known."""
        return "" if self.reception is None else self.reception.peer()

    # -- its worker -------------------------------------------------------------------------

    def run(self, worker: Worker, now: float) -> float:
        """Handle the request on a worker, if its message is here. The pool calls it; see ``Job``."""
        if self._receive is None or self._receive(self):
            self._worker = worker
            try:
                self.handle()
            finally:
                with self._moving:  # 9: later the worker has other work
                    self._worker = self._running = None
        return time.monotonic()

    def handle(self) -> None:
        """Have gRPC call the behavior, and answer. On any thread, once."""
        self._threads.rpc = self
        try:
            reception, args = self.reception, self._args
            if reception is not None and reception.is_unary:
                args = reception.arguments(self._take_message)
            self._function(*args)
        finally:
            # what they hold must not live until the thread's next request
            self._threads.rpc = None
            self.end()

    def end(self) -> None:
        """Note that the request is over, and let go of it. Once, by whoever has handled it."""
        del self._function, self._args, self.reception
        self.reception = None
        self._handled = True  # 3: first this, then whoever looks for it
        self._done(self)

    def turn_away(self, error: CallError) -> None:
        """Answer with an error, without the message and without a thread. Instead of ``handle``."""
        if self.reception is not None:
            self.reception.refuse(CallStatus(error))
        self.end()

    def take_worker(self) -> Worker | None:
        """The worker that shall run the tool, which is the calling thread; None if it is none."""
        with self._moving:
            worker = self._running = self._worker
            self._worker = None
        return worker

    def _take_message(self) -> Any:
        # a behavior that calls tools is told of the refusal when it calls one
        return b"" if self.refusal is not None else self.reception and self.reception.take()

    def replace_worker(self, replace: Callable[[Worker], bool]) -> None:
        """Have another worker take the place of the one whose tool runs, but for nobody.

        Any thread may call it.

        Args:
            replace: puts a new worker in the place of another, and returns whether it could; called
                if one is here.
        """
        with self._moving:  # 9
            if self._running is not None and replace(self._running):
                self._running = None

    def relieve_worker(self, relieve: Callable[[Worker], object]) -> None:
        """Have a new thread go on in the place of the calling one, which is about to wait.

        Args:
            relieve: puts it there; called unless the place was given away already.
        """
        with self._moving:  # 10
            running, self._running = self._running, None
            if running is not None:
                relieve(running)

    # -- what gRPC takes for a future -------------------------------------------------------

    def add_done_callback(self, callback: Callable[[Rpc], object]) -> None:
        """Run ``callback`` soon after the request was handled; now if it was. gRPC calls it."""
        self._callbacks.append(callback)
        if self._handled:  # 3: after the callback is there for others to find
            self.run_callbacks()

    def run_callbacks(self) -> None:
        """Tell whoever wanted to know that the request has been handled. Any thread."""
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()  # 3: atomic, so each runs once
            except IndexError:
                return  # another thread was faster
            callback(self)


def shutting_down() -> ShuttingDown:
    """The answer to a request whose tool shall not begin any more."""
    return ShuttingDown("the bridge is shutting down", started=False)
