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
from ...errors import CallError
from ...wire import Encoder


class PerThread(threading.local):
    """What each thread has for itself: an encoder, and the request that it handles."""

    rpc: Rpc | None = None

    def __init__(self) -> None:
        self.encoder = Encoder()


class Rpc(Job):
    """One request as a job of the pool, and the future that gRPC wants to have for it.

    Args:
        key: under which the call of its tool is known in the process.
        function: has gRPC receive the request, call its behavior, and answer. Runs once.
        args: those of ``function``.
        threads: where the thread that handles the request finds it.
        done: called with the request once it was handled, on the thread that did.
    """

    serial: SerialQueue | None = None
    #: Why no tool shall run; set before the request is handled.
    refusal: CallError | None = None

    def __init__(
        self,
        key: int,
        function: Callable[..., object],
        args: tuple[Any, ...],
        threads: PerThread,
        done: Callable[[Rpc], object],
    ) -> None:
        self.key = key
        self.arrived = time.monotonic()
        self._function = function
        self._args = args
        self._threads = threads
        self._done = done
        self._moving = threading.Lock()
        #: The worker that waits here for the message; None before, and once it has other work.
        self._waiting: Worker | None = None
        #: The worker that runs the tool; None before, once it has other work, or was replaced.
        self._running: Worker | None = None
        self._callbacks: deque[Callable[[Rpc], object]] = deque()
        self._handled = False

    # -- its worker -------------------------------------------------------------------------

    def run(self, worker: Worker, now: float) -> float:
        """Handle the request on a worker. The pool calls it; see ``Job``."""
        self._waiting = worker
        try:
            self.handle()
        finally:
            with self._moving:  # 2, 9: later the worker has other work
                self._waiting = self._running = None
        return time.monotonic()

    def handle(self) -> None:
        """Have gRPC receive the request, call its behavior, and answer. On any thread, once."""
        self._threads.rpc = self
        try:
            self._function(*self._args)
        finally:
            # what they hold must not live until the thread's next request
            self._threads.rpc = None
            del self._function, self._args
            self._handled = True  # 3: first this, then whoever looks for it
            self._done(self)

    def take_worker(self) -> Worker | None:
        """The message is here: the worker that shall run the tool, which is the calling thread.

        Returns:
            None if the thread is no worker: another one has its place, or it never had one.
        """
        with self._moving:  # 1: not between a decision to replace the thread and the new one
            worker = self._running = self._waiting
            self._waiting = None
        return worker

    def replace_thread(self, replace: Callable[[Worker], bool]) -> None:
        """Have another thread take the place of the one that still waits for the message.

        Any thread may call it.

        Args:
            replace: puts a new thread in the place of a worker, and returns whether it could; called
                if one waits here.
        """
        with self._moving:  # 1
            if self._waiting is not None and replace(self._waiting):
                self._waiting = None

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
