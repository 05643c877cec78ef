"""What gRPC takes for its thread pool: hands the requests that call tools to the pool of all calls.

gRPC's server gives each request to a pool as a function that receives the message, calls the
behavior and answers. Those that call tools go to the bridge's own pool, so that a running one
occupies one worker, a queued one none, and a tool cannot tell where its call came from. All others
run on a few threads of the transport, however busy the workers are.

**Guarantees.** ``submit`` never raises and never blocks. A request that it was given is handled
exactly once: by a worker, or refused by a control thread. A worker whose client does not send the
message gets a new thread within ``_PATIENCE_S`` to two times that. gRPC learns of every request
that it is over.

**Assumes** of ``grpc.server``: it calls ``submit`` and ``add_done_callback`` on its one serving
thread, holding a lock that everything else of the server needs; what raises there ends that thread.
The function receives the message on the thread that runs it, and answers there. A callback that
``context.add_callback`` has taken runs on the serving thread when the request is over, for whatever
reason; if it says False, the request was over before. Of the pool: ``worker.since`` is written
before ``worker.job``, and a thread that comes back from a job ends if ``worker.thread`` is another.

**Which thread runs what**

==================  ===============================================================================
serving thread      ``submit``, ``add_done_callback``, most callbacks of requests that were handled,
                    the end of a request (``Exchange._end``)
a worker            ``Rpc.run``: message, behavior, tool, answer
a thread that was   the same from where it was replaced on; its tool runs on some worker, and it
a worker            waits for that and answers
a control thread    refused requests, health checks, lists and statistics
the watch           ``look``: replaces threads, and settles what the serving thread has no time for
==================  ===============================================================================

**Interleavings**, each with the test in ``test_grpc_executor.py`` that forces it:

1. The message arrives just as the watch replaces the thread that waits for it. Both take the worker
   under the lock of the request, and the watch keeps that lock until the new thread is in place: the
   old thread either keeps its place or finds itself replaced, never both, and never half.
   (``test_a_message_that_comes_while_its_thread_is_replaced_finds_it_replaced``)
2. The watch has read that a worker waits in a request, and the worker goes on to other work before
   the watch acts. The worker takes itself out of the request, so the watch finds nobody there.
   (``test_a_worker_that_has_gone_on_is_not_replaced``)
3. A request is handled before gRPC has said whom to tell, or while it says so. It says so first and
   looks then whether the request was handled; the handler marks it first and has it settled then.
   One of the two finds the callback, and taking it is atomic.
   (``test_gRPC_is_told_once_whoever_is_first``)
4. A drain begins between the look whether there is one and the queueing. ``submit`` looks again
   when the request is queued: either it sees the drain, or whoever drains sees the request.
   (``test_a_request_that_is_queued_while_a_drain_begins_is_refused``)
5. The pool fails after it has queued the request, or a worker has it already. Whoever takes it out
   of the queue refuses it; if nobody can, it is in good hands. So it is never handled twice.
   (``test_a_request_that_was_queued_all_the_same_is_handled_once``)
6. The request ends between its arrival and the moment when its call is in flight, so that nobody
   would hear of it: ``add_callback`` says so, and the call is ended by its own thread.
   (``test_a_client_that_left_before_its_call_began_is_noticed``)
7. Somebody else has claimed the answer (a cancel, a deadline, the end of a drain) and has not given
   it yet when the tool returns. The thread waits for the answer, not for the tool.
   (``test_a_thread_waits_for_the_answer_that_another_has_claimed``)
8. The process stops serving while a request is on its way from the queue to its call, where neither
   ``stop`` nor ``Dispatcher.cancel_all`` sees it. ``stop`` is called first, and the request looks
   for it once its call is in flight: it sees that, or ``cancel_all`` sees the call.
   (``test_a_request_between_queue_and_call_never_begins_once_it_is_over``)
9. A request ends while its tool runs, and the worker's place is given to another as the tool
   returns. Both take the lock of the request: the worker has left the request then, and is not
   replaced, or it was replaced while its job ran, and ends after it.
   (``test_a_worker_that_has_left_the_request_is_not_replaced``)
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...calls import Dispatcher
from ...errors import CallError, ShuttingDown
from .rpc import PerThread, Rpc

#: stdio's ids are below; the dispatcher wants keys that are unique in the process.
_FIRST_KEY = 2**64 + 1
#: Threads, as many as are needed, for what must be answered while every worker is busy. Clients
#: that are slow to send their request can hold some of them.
_CONTROL_THREADS = 64
#: How long a worker waits for the message of a request before another thread takes its place.
_PATIENCE_S = 0.2
#: Threads that receive messages for one worker.
_RECEIVERS = 8


class GrpcExecutor:
    """The pool that a ``grpc.server`` is made with; it calls ``submit`` and nothing else.

    Args:
        dispatcher: whose pool handles the requests, and whose drain they follow.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.threads = PerThread()
        #: Whether no further tool shall begin.
        self.stopped = False
        #: Runs what must be answered while every worker is busy.
        self.control = ThreadPoolExecutor(_CONTROL_THREADS, "bridge-grpc-control")
        self._dispatcher = dispatcher
        #: Whether the threads that receive messages are no workers: one worker runs tools only.
        self.receives_only = dispatcher.pool.threads.single
        self._pool = dispatcher.pool
        if self.receives_only:
            self._pool = dispatcher.pool.new_receivers(_RECEIVERS)
        self._keys = itertools.count(_FIRST_KEY)
        #: Requests that were handled, which gRPC does not know yet.
        self._handled: deque[Rpc] = deque()
        self._closed = threading.Event()

    def submit(self, function: Callable[..., object], *args: Any) -> Rpc:
        """Have a request to call a tool handled by a worker, or refused. gRPC calls it.

        Never raises, never blocks.
        """
        rpc = Rpc(next(self._keys), function, args, self.threads, self._handled.append)
        try:
            self._settle()
            self._queue(rpc)
        except Exception as error:
            # no thread can be started, for example: that is no reason to stop serving
            sys.excepthook(type(error), error, error.__traceback__)
        return rpc

    def current(self) -> Rpc:
        """The request that the calling thread handles."""
        rpc = self.threads.rpc
        if rpc is None:
            raise RuntimeError("a behavior that runs aside must not call tools")
        return rpc

    def stop(self) -> list[Future[None]]:
        """Let no further tool begin: refuse the requests that wait, and those on their way.

        Returns:
            What is done when those that wait are answered.
        """
        self.stopped = True  # 8
        queued = [job for job in self._pool.withdraw() if isinstance(job, Rpc)]
        return [self._refuse(rpc, shutting_down()) for rpc in queued]

    def watch(self) -> None:
        """Keep the workers for tools, not for clients that do not send what they have begun."""
        threading.Thread(target=self._watch, name="bridge-grpc-watch", daemon=True).start()

    def close(self) -> None:
        """End the threads, once the server has stopped. Does not wait for them."""
        self._closed.set()
        self.control.shutdown(wait=False)

    def look(self, now: float) -> None:
        """Replace the threads that have waited too long for a message. The watch calls it.

        Args:
            now: an instant of ``time.monotonic()``.
        """
        self._settle()
        for worker in self._pool.workers:
            rpc = worker.job
            if isinstance(rpc, Rpc) and now - worker.since > _PATIENCE_S:
                rpc.replace_thread(self._pool.relieve)  # 2: if the worker is still there

    # -- parts ------------------------------------------------------------------------------

    def _queue(self, rpc: Rpc) -> None:
        try:
            if self._dispatcher.draining:
                raise shutting_down()
            self._pool.submit(rpc)
            if self._dispatcher.draining:  # 4
                self._take_back(rpc, shutting_down())
        except CallError as error:
            self._refuse(rpc, error)
        except Exception as error:
            message = f"no worker can be had: {error}"
            self._take_back(rpc, CallError(message, code="unavailable", started=False))
            raise

    def _take_back(self, rpc: Rpc, error: CallError) -> None:
        """Refuse a request that may have been queued, unless a worker has it."""
        if self._pool.discard(rpc):  # 5: whoever takes it out of the queue handles it
            self._refuse(rpc, error)

    def _refuse(self, rpc: Rpc, error: CallError) -> Future[None]:
        rpc.refusal = error
        return self.control.submit(rpc.handle)

    def _settle(self) -> None:
        """Tell gRPC which requests are over.

        It counts them under the lock that its serving thread holds nearly always. A worker would
        wait for that; here, on that very thread, nobody does.
        """
        while self._handled:
            try:
                self._handled.popleft().run_callbacks()  # 3
            except IndexError:
                return  # another thread was faster

    def _watch(self) -> None:
        while not self._closed.wait(_PATIENCE_S):
            self.look(time.monotonic())


def shutting_down() -> ShuttingDown:
    """The answer to a request whose tool shall not begin any more."""
    return ShuttingDown("the bridge is shutting down", started=False)
