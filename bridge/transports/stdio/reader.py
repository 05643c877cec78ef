"""What the program at the other end of the pipes says: read, told apart, and run or handed on.

No tool may hold the reader up. Tools that have proven quick run here, on the thread that reads,
while a second thread stands by to read on when one takes long after all (``Watchdog``).

The end of the process must not lose what was read. What makes each interleaving harmless:

1. Requests are decoded while the end stops the reading. Under one lock either the end sees that
   they are handed on, and waits for that, or the connection is closed, and nothing is decoded.
   (``test_what_is_decoded_while_the_reading_is_stopped_is_handed_on``)
2. The thread that hands on loses the role while it runs quick calls: what it had read is handed on
   when the other thread has taken it over, and not before. The late one says nothing any more.
   (``test_what_a_late_thread_had_read_is_handed_on_by_the_other``)
"""

from __future__ import annotations

import threading
from collections import deque

from ...calls import QUICK, InlineRunner, Intake, Watchdog, unhandled
from ...errors import BridgeError, CallError
from ...wire import (
    CancelReceived,
    CreditReceived,
    Fault,
    HelloReceived,
    ItemReceived,
    LentReceived,
    MemoryReceived,
    Request,
    ResponseReceived,
)
from .channel import MAX_BACKLOG_BYTES
from .requests import BridgeRequests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls import Batch, Dispatcher
    from .channel import Channel
    from .elixir import StdioElixir
    from .endable_source import EndableSource, Source
    from .peer import StdioPeer

#: When the backlog and what was read meanwhile are so much, nothing is read any more, cancels
#: included.
_FLOOD_BYTES = 2 * MAX_BACKLOG_BYTES
_NAME = "bridge-reader"


class StdioReader(Intake):
    """Reads one peer's messages and has them served, on two threads of its own.

    Args:
        descriptor: where they come from, private to this object.
        channel: the way back.
        peer: who gets the answers.
        dispatcher: who runs the tools.
        gone: called once when the peer has closed its end.
        shutdown: called when it asks the bridge to end.
        inline: whether tools that have proven quick run on the thread that reads.
    """

    def __init__(
        self,
        descriptor: int,
        channel: Channel,
        peer: StdioPeer,
        dispatcher: Dispatcher,
        *,
        gone: Callable[[], object],
        shutdown: Callable[[], object],
        inline: bool = False,
    ) -> None:
        threads = dispatcher.pool.threads
        self._source: Source = open(descriptor, "rb", buffering=0)
        #: What ends the reading of a thread that has more to do at its end; None: it has not.
        self._ending: EndableSource | None = None
        if threads.closes_workers and inline:
            from .endable_source import EndableSource

            self._source = self._ending = EndableSource(self._source)
        self._channel = channel
        self._connection = channel.connection
        self._writer = channel.writer
        self._peer = peer
        self._dispatcher = dispatcher
        self._requests = BridgeRequests(dispatcher, peer, shutdown, channel.memory)
        #: The way back to the peer; None: it has not said that it answers requests.
        self._elixir: StdioElixir | None = None
        self._gone = gone
        self._watchdog = Watchdog(self._read, _NAME, ended=threads.end)
        #: Held while it is decided whether what was read still counts.
        self._receiving = threading.Lock()
        #: Requests were decoded that are not all run or handed to the dispatcher; see ``Intake``.
        self._handing_on = False
        #: Calls of quick tools that the leading thread has read and is about to run.
        self._batch: Batch = deque()
        #: For each of the two threads.
        self._runners = [
            InlineRunner(dispatcher, peer, f"{_NAME}-{number}") for number in (1, 2) if inline
        ]

    def start(self) -> None:
        """Begin to read.

        Raises:
            BridgeError: no thread can be started.
        """
        if not self._watchdog.start():
            raise BridgeError(
                "no thread can be started to read requests: the process may have no more "
                "(ulimit -u, the container's limit of pids, memory)"
            )

    def stop(self) -> None:
        with self._receiving:  # (1)
            self._connection.close()

    def hands_on(self) -> bool:
        return self._handing_on

    def is_read(self) -> bool:
        memory = self._channel.memory
        return memory is None or memory.is_read()

    def end(self, end: float) -> None:
        """Have the threads do what they do last, if there is something, until an instant at most.

        Only when nothing is to be read any more.
        """
        if self._ending is not None:
            self._ending.end()
            self._watchdog.join(end)

    def close(self) -> None:
        """Give the descriptor back. Only after the peer is gone."""
        self._source.close()

    def forked(self) -> None:
        """In a process that a tool has forked: what runs here is answered by the parent."""
        for runner in self._runners:
            runner.forked()

    # -- the two threads --------------------------------------------------------------------

    def _read(self, term: int, thread: int) -> None:
        """Read, and run what is quick, until the role is lost or the peer is gone."""
        lost = False
        try:
            if term > 1:
                self._take_over()
            lost = self._read_until_lost(term, thread)
        finally:
            if not lost:
                # end of file, an unreadable descriptor or a bug here: nobody can reach us any more
                self._watchdog.end()
                self._gone()

    def _read_until_lost(self, term: int, thread: int) -> bool:
        """True: the role was lost. False: the peer is gone."""
        connection, writer, batch = self._connection, self._writer, self._batch
        unread = 0  # how much was read since the peer does not read
        while True:
            try:
                count = self._source.readinto(connection.get_buffer())
            except OSError:
                count = 0
            if not count:
                return False
            with self._receiving:  # (1)
                events = connection.buffer_updated(count)
                self._handing_on = True
            self._handle_all(events)
            if batch:
                self._runners[thread].run(batch, self._watchdog, term)
                writer.flush()  # still watched: it may block
                if not self._watchdog.release(term):
                    return True
            else:
                writer.nudge()  # not flush(): this thread must see a cancel though nobody reads
            self._handing_on = False
            backlog = writer.backlog
            if backlog <= MAX_BACKLOG_BYTES:
                unread = 0
                continue
            unread += count
            if backlog + unread > _FLOOD_BYTES:
                # the peer writes without reading: take no more of it until it does
                writer.flush_and_wait()
                unread = 0

    def _take_over(self) -> None:
        """Have the other thread's call, which was to be quick, be a call like any other."""
        for runner in self._runners:
            runner.share()
        while self._batch:
            try:
                request, _ = self._batch.popleft()
            except IndexError:
                break
            self._dispatcher.dispatch(request, self._peer)
        self._handing_on = False  # (2)
        self._writer.nudge()

    # -- what was read ----------------------------------------------------------------------

    def _handle_all(self, events: list[Any]) -> None:
        # in a function of its own, whose end lets go of the last one: it may hold much
        dispatcher = self._dispatcher
        inline = bool(self._runners) and not dispatcher.draining
        watched, tools, batch = self._watchdog.watched, dispatcher.tools, self._batch
        streamed = self._connection.has_streamed
        for event in events:
            try:
                if type(event) is Request:
                    tool = tools.get(event.method)
                    if (
                        tool is not None
                        and inline
                        and tool.latency.state == QUICK
                        and not (streamed and _is_stream(event))
                        and (watched or self._gets_watched())
                    ):
                        batch.append((event, tool))
                    elif tool is None and event.method.startswith("$/"):
                        self._requests.serve(event)
                    else:
                        dispatcher.dispatch(event, self._peer)
                else:
                    self._handle(event)
            except Exception as failure:
                # where one message of a peer is handled: nothing else ends with it
                self._answer_failure(event, failure)

    def _gets_watched(self) -> bool:
        """Whether a quick call may run here after all, as the late thread stands by again.

        For that this one waits a moment, if the call would have to wait for a worker instead, maybe
        long: beside tools that compute, a thread is late for want of the GIL, rather than hangs.
        """
        return not self._dispatcher.pool.has_room and self._watchdog.wait_until_watched()

    def _answer_failure(self, event: Any, failure: Exception) -> None:
        """Have what goes wrong with one message be the error of that message."""
        if type(event) is not Request:
            error = unhandled(type(event).__name__, failure)
            self._peer.fault(Fault(None, error))
        elif self._connection.is_in_flight(event.msgid):
            # nobody else has it: the dispatcher answers for the calls that it has admitted
            self._peer.send_error(event.msgid, unhandled(event.method, failure))
        else:
            unhandled(event.method, failure)  # which logs it

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is CancelReceived:
            self._dispatcher.cancel(event.msgid)
        elif kind is CreditReceived:
            self._peer.wake_stream(event.msgid)
        elif kind is HelloReceived:
            self._channel.receive_hello(event.hello)
            if event.hello.queue_times:
                self._peer.tell_queue_times(self._dispatcher.calls)
            if event.hello.requests and self._elixir is None:
                from .elixir import StdioElixir

                self._peer.elixir = self._elixir = StdioElixir(self._channel, self._dispatcher)
        elif kind is LentReceived:
            self._handle_lent(event)
        elif kind is MemoryReceived:
            if self._channel.memory is not None:
                self._channel.memory.receive(event.method, event.params)
        elif kind is ResponseReceived or kind is ItemReceived:
            if self._elixir is not None:  # else nothing was asked
                self._elixir.receive(event)
        elif event.in_flight:
            self._dispatcher.fail(event.msgid, event.error)
        else:
            self._peer.fault(event)

    def _handle_lent(self, event: LentReceived) -> None:
        request, memory = event.what, self._channel.memory
        try:
            if memory is None:
                raise CallError("there is no shared memory here", code="invalid_argument")
            held = memory.accept(event)  # in any case: it is to be given back
            if type(request) is Request:
                memory.put_into(request, held)
        except CallError as error:
            if type(request) is Request:
                self._peer.send_error(request.msgid, error)
                return
        if type(request) is not Request:
            self._handle(request)
        elif request.method.startswith("$/") and request.method not in self._dispatcher.tools:
            self._requests.serve(request)
        else:
            self._dispatcher.dispatch(request, self._peer)


def _is_stream(request: Request) -> bool:
    """Whether items are asked for: the dispatcher knows whether the tool makes any."""
    return request.options is not None and request.options.credit is not None
