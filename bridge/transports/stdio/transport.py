"""The stdio transport: one peer on a pair of pipes, and a reader that no tool may hold up."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque

from ...calls.inline.latency import QUICK
from ...calls.inline.runner import QuickCalls
from ...calls.inline.watchdog import Relay
from ...errors import CallError, EncodeError, InvalidParams, Unimplemented, shorten
from ...wire.codec import Encoder
from ...wire.connection import CancelReceived, Connection, CreditReceived
from ...wire.messages import Request
from .writer import SMALL_BYTES, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...calls.call import Call
    from ...calls.dispatcher import Dispatcher
    from ...calls.inline.runner import Batch

#: Linux lets anybody have pipes of this size; the usual 64 KiB halve the throughput of large data.
PIPE_BYTES = 1 << 20
#: When so much is queued, workers pause and progress and log lines are dropped until it is written.
MAX_BACKLOG_BYTES = 32 << 20
#: When that and what was read meanwhile are so much, nothing is read any more, cancels included.
_FLOOD_BYTES = 2 * MAX_BACKLOG_BYTES


def claim_descriptors(source: int, sink: int) -> tuple[int, int]:
    """Take the protocol's descriptors out of everybody's reach. First thing in the process.

    Returns private, not inheritable descriptors for reading and writing. Afterwards descriptor 0
    is the null device and 1 is stderr, so that ``print``, C libraries and child processes cannot
    touch the protocol, nor keep the pipes open. Raises ``OSError`` if a descriptor is not open.
    """
    reader, writer = _private(source), _private(sink)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(2)
    except OSError:
        os.dup2(null, 2)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    for descriptor in {source, sink} - {0, 1, 2}:
        os.close(descriptor)
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return reader, writer


def _private(descriptor: int) -> int:
    import fcntl  # not on Windows, where programs come no further than saying so

    # above 9: a low number could be one that somebody uses by convention
    private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        fcntl.fcntl(private, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (AttributeError, OSError):
        pass  # not Linux, not a pipe, or the user has no pages left
    return private


class StdioTransport:
    """Serves one peer over a pair of descriptors.

    ``gone`` is called once when the peer closes its end, ``shutdown`` when it asks the bridge to
    end; both on the reader's or a worker's thread. ``max_message_bytes``: larger frames are
    refused. ``inline``: tools that have proven quick run on the thread that reads, under watch.
    """

    def __init__(
        self,
        reader: int,
        writer: int,
        *,
        max_message_bytes: int,
        gone: Callable[[], object],
        shutdown: Callable[[], object],
        inline: bool = False,
    ) -> None:
        self._source = open(reader, "rb", buffering=0)
        self._gone = gone
        self._shutdown = shutdown
        self._connection = Connection(max_message_bytes)
        self._writer = Writer(writer, gone)
        self._encoders = threading.local()
        self._paused: dict[int, Stream] = {}
        # A tool sends items and progress, others may end its call, and nothing may follow the
        # answer: held from the look whether there is none until what is sent is queued, and while
        # the answer is queued. Never while something is encoded: that may run code of the tool.
        self._order = threading.Lock()
        self._inline = inline
        self._relay = Relay(self._read, "bridge-reader")
        #: Calls of quick tools that the thread on duty has read and is about to run.
        self._batch: Batch = deque()
        self._quick: list[QuickCalls] = []
        self._own = threading.local()
        self._dispatcher: Dispatcher | None = None
        self._counting = threading.Lock()
        self._dropped = 0
        self._ended = False

    # -- life -------------------------------------------------------------------------------

    def start(self, dispatcher: Dispatcher) -> None:
        """Begin to read. The dispatcher's pool will write when its workers pause."""
        self._dispatcher = dispatcher
        dispatcher.pool.before_wait = self._writer.flush
        dispatcher.pool.before_next = self._writer.nudge
        dispatcher.pool.has_output = self._writer.waits
        self._relay.start()

    def ready(self, info: dict[str, Any]) -> None:
        """Tell the peer that the bridge serves: the first message."""
        self._notify("$/ready", [info])
        self._writer.flush()

    def refuse(self, error: CallError) -> None:
        """Tell the peer why the bridge cannot start, and wait until that is written."""
        self._notify("$/error", [error.to_wire()])
        self._writer.flush_and_wait()

    def bye(self, reason: str) -> None:
        """Say the last message. Returns when all is written: a peer that does not read blocks it."""
        self._notify("$/bye", [reason])
        self._ended = True
        self._writer.flush_and_wait()

    def drain(self) -> None:
        """Note that new requests are refused from now on."""
        self._connection.drain()

    # -- call.Peer --------------------------------------------------------------------------

    def send_result(self, key: int, result: Any) -> None:
        try:
            encoder: Encoder = self._encoders.encoder
        except AttributeError:
            encoder = self._encoder()
        message = self._connection.result(encoder, key, result)
        self._writer.send(message)
        if len(message) >= SMALL_BYTES and self._writer.backlog > MAX_BACKLOG_BYTES:
            # the worker makes no more of it; a reader that runs quick calls is watched
            self._writer.flush_and_wait()

    def send_error(self, key: int, error: CallError) -> None:
        message = self._connection.error(self._encoder(), key, error)
        with self._order:
            self._writer.send(message)
        self._wake_stream(key)
        self._writer.nudge()

    def open_stream(self, call: Call) -> Stream:
        return Stream(self, call)

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        message = self._encode_if_read("$/progress", [key, done, total, text])
        if message is None:
            return
        with self._order:
            if self._connection.is_in_flight(key):
                self._writer.send(message)
        self._writer.nudge()

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> bool:
        """Whether there is a peer that will get it, or from which it was dropped."""
        if self._ended:
            return False
        message = self._encode_if_read("$/log", [level, logger, text, fields, key])
        if message is not None:
            self._writer.send(message)
            self._writer.nudge()
        return True

    # -- parts ------------------------------------------------------------------------------

    def _encoder(self) -> Encoder:
        try:
            encoder: Encoder = self._encoders.encoder
        except AttributeError:
            encoder = self._encoders.encoder = Encoder()
        return encoder

    def _notify(self, method: str, params: list[Any]) -> None:
        self._writer.send(self._encoder().notification(method, params))

    def _encode_if_read(self, method: str, params: list[Any]) -> bytes | None:
        """A notification, or None if the peer does not read: then it is dropped, and counted."""
        if self._ended or self._writer.backlog > MAX_BACKLOG_BYTES:
            with self._counting:
                self._dropped += 1
            return None
        try:
            return self._encoder().notification(method, params)
        except EncodeError as error:
            fallback = [str(error) if isinstance(p, str | dict) else p for p in params]
            return self._encoder().notification(method, fallback)

    def _wake_stream(self, key: int) -> None:
        stream = self._paused.get(key)
        if stream is not None:
            stream.look.set()

    def _read(self, turn: int) -> None:
        """Read, and run what is quick, until the duty is lost or the peer is gone."""
        lost = False
        try:
            if turn > 1:
                self._take_over()
            lost = self._read_until_lost(turn)
        finally:
            if not lost:
                # end of file, an unreadable descriptor or a bug here: nobody can reach us any more
                self._relay.end()
                self._gone()

    def _read_until_lost(self, turn: int) -> bool:
        """True: the duty was lost. False: the peer is gone."""
        connection, writer, batch = self._connection, self._writer, self._batch
        unread = 0  # how much was read since the peer does not read
        while True:
            try:
                count = self._source.readinto(connection.get_buffer())
            except OSError:
                count = 0
            if not count:
                return False
            self._handle_all(connection.buffer_updated(count))
            if batch:
                if not self._run_batch(turn):
                    return True
            else:
                writer.nudge()  # not flush(): this thread must see a cancel though nobody reads
            backlog = writer.backlog
            if backlog <= MAX_BACKLOG_BYTES:
                unread = 0
                continue
            unread += count
            if backlog + unread > _FLOOD_BYTES:
                # the peer writes without reading: take no more of it until it does
                writer.flush_and_wait()
                unread = 0

    def _run_batch(self, turn: int) -> bool:
        """Run quick calls here, and write their answers. False if that took too long."""
        assert self._dispatcher is not None
        try:
            quick: QuickCalls = self._own.quick
        except AttributeError:
            name = threading.current_thread().name
            quick = self._own.quick = QuickCalls(self._dispatcher, self, name)
            self._quick.append(quick)
        quick.run(self._batch, self._relay, turn)
        self._writer.flush()  # still watched: it may block
        return self._relay.done(turn)

    def _take_over(self) -> None:
        """Another thread is held up by a call that was to be quick: it is a call like any other."""
        dispatcher = self._dispatcher
        assert dispatcher is not None
        for quick in self._quick:
            quick.take_over()
        while self._batch:
            try:
                request, _ = self._batch.popleft()
            except IndexError:
                break
            dispatcher.dispatch(request, self)
        self._writer.nudge()

    def _handle_all(self, events: list[Any]) -> None:
        # in a function of its own, whose end lets go of the last one: it may hold much
        dispatcher = self._dispatcher
        assert dispatcher is not None
        inline = self._inline and self._relay.watched and not dispatcher.draining
        tools, batch = dispatcher.tools, self._batch
        for event in events:
            if type(event) is Request:
                tool = tools.get(event.method)
                if tool is not None and inline and tool.pace.state == QUICK:
                    batch.append((event, tool))
                elif tool is None and event.method.startswith("$/"):
                    self._serve(event, dispatcher)
                else:
                    dispatcher.dispatch(event, self)
            else:
                self._handle(event, dispatcher)

    def _handle(self, event: Any, dispatcher: Dispatcher) -> None:
        kind = type(event)
        if kind is CancelReceived:
            dispatcher.cancel(event.msgid)
        elif kind is CreditReceived:
            self._wake_stream(event.msgid)
        elif event.in_flight:
            dispatcher.fail(event.msgid, event.error)
        else:
            self._writer.send(self._connection.fault(self._encoder(), event))

    def _serve(self, request: Request, dispatcher: Dispatcher) -> None:
        """Answer a request to the bridge itself, here on the reader, however busy the workers are."""
        method, params = request.method, request.params
        if method == "$/ping":
            if isinstance(params, dict) or len(params) > 1:
                self.send_error(request.msgid, InvalidParams("$/ping takes [] or [value]"))
                return
            result: Any = params[0] if params else None
        elif method == "$/tools":
            result = dispatcher.describe_tools()
        elif method == "$/stats":
            result = {**dispatcher.stats(), "dropped": self._dropped}
        elif method == "$/health":
            result = dispatcher.health()
        elif method == "$/shutdown":
            result = None
        else:
            known = "$/ping, $/tools, $/stats, $/health, $/shutdown"
            error = Unimplemented(
                f"there is no {shorten(method)}; there are {known}", started=False
            )
            self.send_error(request.msgid, error)
            return
        try:
            self._writer.send(self._connection.result(self._encoder(), request.msgid, result))
        except EncodeError as error:
            self.send_error(request.msgid, CallError(str(error), started=False))
        if method == "$/shutdown":
            self._writer.flush()
            self._shutdown()


class Stream:
    """The way of one call's items to the peer, at the peer's pace. Used by the call's worker."""

    __slots__ = ("look", "_transport", "_call", "_credit")

    def __init__(self, transport: StdioTransport, call: Call) -> None:
        #: Set when there may be credit, or when the call was answered.
        self.look = threading.Event()
        self._transport = transport
        self._call = call
        self._credit = transport._connection.credit(call.key)

    def wait(self) -> None:
        """Block until the peer takes another item, or the call is interrupted."""
        credit, call, transport = self._credit, self._call, self._transport
        if transport._writer.backlog > MAX_BACKLOG_BYTES:
            # it has given credit, but does not read
            transport._writer.flush_and_wait()
        if credit is None or credit.available:
            return
        transport._writer.flush()
        transport._paused[call.key] = self
        while not credit.available and call.interruption is None:
            self.look.wait()
            self.look.clear()
        del transport._paused[call.key]

    def send(self, item: Any) -> None:
        """Send an item. Raises ``EncodeError``, and has then sent nothing."""
        transport, key, credit = self._transport, self._call.key, self._credit
        connection, writer = transport._connection, transport._writer
        message = connection.item(transport._encoder(), key, credit, item)
        with transport._order:
            if connection.credit(key) is not credit:
                return  # answered meanwhile: nobody waits for the item
            writer.send(message)
        writer.nudge()
