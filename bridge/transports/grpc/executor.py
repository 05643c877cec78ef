"""What gRPC takes for its thread pool: hands the requests that call tools to the pool of all calls.

gRPC's server gives each request to a pool as a function that receives the message, calls the
behavior and answers. Those that call tools go to the bridge's own pool, so that a running one
occupies one worker, a queued one none, and a tool cannot tell where its call came from. All others
run on a few threads of the transport, however busy the workers are.

**Guarantees.** ``submit`` never raises and never blocks. A request that it was given is handled
exactly once: by a worker, or by a control thread, or it is refused. A call comes to a worker when its
message is here: to wake one twice costs more than a quick call. Only while very many are on their way,
or much waits, a worker receives the message, and waits for it for ``_PATIENCE_S`` at most, and shorter
once some have waited in vain. Requests without a message are bounded in number and in time, those of
callers without a token apart. gRPC learns of every request that it is over.

**Assumes** of ``grpc.server``: it calls ``submit`` and ``add_done_callback`` on its one serving
thread, holding a lock that everything else of the server needs; what raises there ends that thread.
The function takes the message from what ``Reception`` gives it, and answers on the thread that runs
it. A callback that
``context.add_callback`` has taken runs on the serving thread when the request is over, for whatever
reason; if it says False, the request was over before.

**Which thread runs what**

==================  ===============================================================================
serving thread      ``submit``, ``add_done_callback``, most callbacks of requests that were handled,
                    the arrival of messages, refusals of callers without a token, the end of a
                    request (``Exchange._end``)
a worker            ``Rpc.run``: behavior, tool, answer; before that the message, if it is not here
a control thread    refused requests, health checks, lists and statistics
the watch           ``look``: refuses what has waited too long for its message, and settles what the
                    serving thread has no time for
==================  ===============================================================================

**Interleavings**, each with the test in ``test_grpc_executor.py`` that forces it:

1. The message comes just as its worker gives up waiting. Whoever brings it notes that first and looks
   then whether the request waits elsewhere; the worker has it wait there first, and looks then whether
   the message has come. One of the two takes it out from there, and that one goes on with it.
   (``test_a_message_that_comes_as_its_worker_gives_up_is_handled_once``)
2. The message comes just as the request is refused because it has waited too long, or because there
   is one too many. Whoever takes it out from where it waits decides, and nobody else can.
   (``test_a_message_that_comes_as_its_request_is_refused_is_not_handled_too``)
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
10. A request ends while its call waits for its turn or on the event loop: another thread has the place
   of its worker, and runs something else there. The request lets go of the worker as it gives the place
   away, under its lock. (``test_a_worker_whose_place_was_given_away_is_not_replaced_with_its_request``)
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from typing import Any

from ...calls import Dispatcher, Worker
from ...errors import CallError
from .awaited import Awaited, Waiting
from .behavior import Place
from .reception import Reception
from .rpc import PerThread, Rpc, shutting_down
from .streams import RequestStreams

#: stdio's ids are below; the dispatcher wants keys that are unique in the process.
_FIRST_KEY = 2**64 + 1
#: Threads, as many as are needed, for what must be answered while every worker is busy.
_CONTROL_THREADS = 64
#: The message of a call is received before it has a worker while fewer are on their way, and fewer
#: bytes wait for one.
_AHEAD, _AHEAD_BYTES = 64, 16 << 20
#: How long a worker waits for the message of a request before it goes on to others, and how long
#: once more than so many requests have not sent theirs.
_PATIENCE_S, _IMPATIENCE_S, _FEW = 0.2, 0.002, 4
#: Requests to call tools that may be without a message, and how long each.
_MAX_CALLS, _CALL_S = 256, 60.0
#: Those to be answered aside; those of callers without a token.
_MAX_ASIDE, _MAX_OPEN, _ASIDE_S = 256, 64, 10.0
_LOOK_S = 0.2
#: Threads that receive messages for one worker.
_RECEIVERS = 8


class GrpcExecutor:
    """The pool that a ``grpc.server`` is made with; it calls ``submit`` and nothing else.

    Args:
        dispatcher: whose pool handles the requests, and whose drain they follow.
        receive: how the message of a request comes that has these arguments; default: as from gRPC.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        receive: Callable[[tuple[Any, ...]], Reception | None] = Reception.of,
    ) -> None:
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
        #: When the last request came, as ``time.monotonic()`` has it.
        self.last_arrival = -inf
        self._receptions = receive
        #: Calls whose message has not come yet, and that no worker waits for.
        self._calls = Awaited(_MAX_CALLS, _CALL_S)
        #: Messages of calls that wait for a worker.
        self._waiting = Waiting()
        #: What is to be answered aside, until its message comes.
        self._aside = {
            Place.ASIDE: Awaited(_MAX_ASIDE, _ASIDE_S),
            Place.OPEN: Awaited(_MAX_OPEN, _ASIDE_S),
        }
        self._streams = RequestStreams()

    def submit(self, function: Callable[..., object], *args: Any) -> Rpc:
        """Have a request handled, by a worker or where its behavior says, or refused. gRPC calls it.

        Never raises, never blocks.
        """
        reception = self._receptions(args)
        key, done = next(self._keys), self._handled.append
        rpc = Rpc(key, function, args, self.threads, done, self._receive, reception)
        self.last_arrival = rpc.arrived
        try:
            self._settle()
            place = None if reception is None else getattr(reception.behavior, "place", None)
            if self.stopped and reception is not None:
                # many may come until the end, when no thread can be had for them any more
                rpc.turn_away(shutting_down())
            elif place is None:
                if not self._receive_ahead(rpc):
                    self._queue(rpc)
            elif place is Place.AT_ONCE:
                rpc.handle()
            elif place is Place.STREAM or place is Place.LASTING:
                self._streams.run(rpc, place)
            else:
                self._answer_aside(rpc, self._aside[place])
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

    def relieve(self, receiver: Worker) -> None:
        """Have another thread receive, while the calling one waits for a call that needs no worker."""
        self._pool.relieve(receiver)

    def stop(self) -> list[Future[None]]:
        """Let no further tool begin: refuse the requests that wait, and those on their way.

        Returns:
            What is done when those that wait are answered.
        """
        self.stopped = True  # 8
        queued = [job for job in self._pool.withdraw() if isinstance(job, Rpc)]
        waiting = self._calls.take_all()
        return [self._refuse(rpc, shutting_down()) for rpc in (*queued, *waiting)]

    def watch(self) -> None:
        """End requests whose clients do not send what they have begun."""
        threading.Thread(target=self._watch, name="bridge-grpc-watch", daemon=True).start()

    def close(self) -> None:
        """End the threads, once the server has stopped. Does not wait for them."""
        self._closed.set()
        self.control.shutdown(wait=False)
        self._streams.close()

    def look(self, now: float) -> None:
        """Refuse the requests that have waited too long for their message. The watch calls it.

        Args:
            now: an instant of ``time.monotonic()``.
        """
        self._settle()
        for rpc in self._calls.take_overdue(now):  # 2
            self._refuse(rpc, self._calls.too_late())
        for awaited in self._aside.values():
            for rpc in awaited.take_overdue(now):  # 2
                rpc.turn_away(awaited.too_late())
        self._streams.look(now)

    # -- messages ---------------------------------------------------------------------------

    def _receive_ahead(self, rpc: Rpc) -> bool:
        """Have a call queued once its message is here. On the serving thread, which does not wait.

        Returns:
            False if a worker shall see to the message.
        """
        reception = rpc.reception
        if reception is None or not reception.is_unary or self._dispatcher.draining:
            return False
        if len(self._calls) >= _AHEAD or self._waiting.size_bytes >= _AHEAD_BYTES:
            return False
        self._calls.add(rpc)
        if not reception.begin(lambda: self._bring(rpc)):
            if self._calls.take(rpc):
                rpc.end()
        elif self.stopped and self._calls.take(rpc):  # 11
            self._refuse(rpc, shutting_down())
        return True

    def _receive(self, rpc: Rpc) -> bool:
        """Whether the message of a request is here; if not, it is queued again once it is.

        On a worker, which waits a moment: nearly always it is on its way.
        """
        if rpc.waiting_bytes:
            self._waiting.remove(rpc)
        reception = rpc.reception
        if rpc.has_come or reception is None or not reception.is_unary:
            return True
        if not reception.begin(lambda: self._bring(rpc)):
            return True
        few = len(self._calls) < _FEW
        if rpc.message.acquire(timeout=_PATIENCE_S if few else _IMPATIENCE_S):
            return True
        one_too_many = self._calls.add(rpc)  # 1: first this
        if one_too_many is not None:
            self._refuse(one_too_many, self._calls.too_many())  # 2
        if self.stopped and self._calls.take(rpc):  # 8
            self._refuse(rpc, shutting_down())
        return rpc.has_come and self._calls.take(rpc)  # 1: and then the look

    def _bring(self, rpc: Rpc) -> None:
        """The message of a call has come. On the serving thread."""
        rpc.has_come = True  # 1: first this
        if not self._calls.take(rpc):  # 1: and then the look
            rpc.message.release()
            return
        try:
            self._waiting.add(rpc)
            self._queue(rpc)
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)

    def _answer_aside(self, rpc: Rpc, awaited: Awaited) -> None:
        """Have a request answered on a control thread when its message is here."""
        reception = rpc.reception
        assert reception is not None
        one_too_many = awaited.add(rpc)
        if one_too_many is not None:
            one_too_many.turn_away(awaited.too_many())

        def bring() -> None:
            if awaited.take(rpc):  # 2
                self._control(rpc)

        if not reception.begin(bring) and awaited.take(rpc):
            rpc.end()

    def _control(self, rpc: Rpc) -> Future[None] | None:
        try:
            return self.control.submit(rpc.handle)
        except RuntimeError as error:
            # no thread can be had, or all is over
            sys.excepthook(type(error), error, error.__traceback__)
            return None

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
        if rpc.waiting_bytes:
            self._waiting.remove(rpc)
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
        while not self._closed.wait(_LOOK_S):
            self.look(time.monotonic())
