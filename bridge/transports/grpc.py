"""The gRPC transport: tools for callers on the network, on the pool that serves stdio too.

gRPC's server hands every request to a pool as a function to run. The requests that call tools go
to the bridge's own pool, so that a running one occupies one worker, a queued one none, and a tool
cannot tell where its call came from. Everything else is answered by a few threads of the
transport, however busy the workers are. What the requests say is the business of a service:
``grpc_service.py``.

The facts about ``grpc.server`` that this rests on: it calls ``submit`` on its one serving thread,
and ``submit`` must not raise; it receives a request, and answers a unary one, on the thread that
runs its function; ``add_callback`` runs when the request is over, for whatever reason.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ..errors import CallError, ShuttingDown, UsageError
from ..wire.codec import Encoder
from ..wire.messages import CallOptions, Request
from .grpc_settings import Certificates, Token
from .grpc_status import CallStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from ..dispatcher import Call, Dispatcher
    from ..pool import Lane, Worker
    from ..wire.messages import Params
    from .grpc_settings import GrpcSettings

    class Service(Protocol):
        """Some methods that clients may call, and what their messages mean."""

        #: Its full name, ``package.Service``.
        name: str

        def add_to(self, server: Any, transport: GrpcTransport) -> None:
            """Register the methods with a ``grpc.Server``.

            A behavior that calls tools makes an ``Exchange``; any other is wrapped with
            ``transport.aside``.
            """


#: stdio's ids are below; the dispatcher wants keys that are unique in the process.
_FIRST_KEY = 2**64
#: Threads, as many as are needed, for what must be answered while every worker is busy. Clients
#: that are slow to send their request can hold some of them.
_CONTROL_THREADS = 64
#: How long a worker waits for the message of a request before another thread takes its place.
_PATIENCE_S = 0.2
#: How many requests beyond those that call tools may be in the process.
_CONTROL_ROOM = 256
#: Progress and log lines that wait for a slow client; more are dropped.
_MAX_NOTES = 64
#: What the caller's deadline may be off, seen from our clock: clients round it up on its way.
_SLACK_S, _SLACK_SHARE = 0.01, 0.012
#: For what another thread is just about to do.
_MOMENT_S = 0.0005
#: Until the last answers are on their way; until all that were queued are refused.
_FLUSH_S, _REFUSE_S = 0.1, 1.0
_HIDDEN = frozenset(["authorization", "user-agent"])
_OPTIONS = [
    # two bridges on one port would take turns
    ("grpc.so_reuseport", 0),
    # without a word, clients in Elixir take it that 100 calls are all that a connection may hold
    ("grpc.max_concurrent_streams", 2**31 - 1),
    # clients may keep idle connections alive, and find a dead one within seconds
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # so may the server: gRPC's default is two hours
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class GrpcTransport:
    """Serves any number of clients over the network.

    ``settings`` are checked already. ``services``: what clients can call, beside health checks.
    """

    def __init__(
        self, settings: GrpcSettings, max_message_bytes: int, services: Sequence[Service]
    ) -> None:
        self._settings = settings
        self._services = services
        self._max_message_bytes = max_message_bytes
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, "bridge-grpc-control")
        self._health = health.HealthServicer()
        self._server: Any = None
        self.dispatcher: Dispatcher
        self.threads = _PerThread()
        #: Progress and log lines that were dropped.
        self.dropped = 0
        self._keys = _FIRST_KEY
        #: Requests that were handled, which gRPC does not know yet.
        self.completed: deque[Rpc] = deque()

    # -- life -------------------------------------------------------------------------------

    def start(self, dispatcher: Dispatcher) -> int | str:
        """Listen and serve. Returns the port, or the address of a Unix socket.

        Raises ``UsageError`` if the address cannot be had.
        """
        self.dispatcher = dispatcher
        settings, pool = self._settings, dispatcher.pool
        size = self._max_message_bytes
        self._server = server = grpc.server(
            self,
            interceptors=[_Guard(self, Token(settings.token_file))] if settings.token_file else (),
            maximum_concurrent_rpcs=pool.max_workers + pool.max_queue + _CONTROL_ROOM,
            options=[
                *_OPTIONS,
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
            ],
        )
        self._add_services()
        port = self._listen()
        for name in ("", *(service.name for service in self._services)):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        server.start()
        threading.Thread(target=self._watch, name="bridge-grpc-watch", daemon=True).start()
        return settings.host if settings.is_unix else port

    def drain(self) -> None:
        """Tell the health checks. The dispatcher, once it drains, refuses new calls."""
        self._health.enter_graceful_shutdown()

    def close(self, idle: bool) -> None:
        """Send what is still to be sent and stop; after the drain. ``idle``: no tool runs."""
        wait(self.refuse_queued(), _REFUSE_S)
        # calls of tools that hang end with the connection, as unavailable; stopping the server
        # would make that "cancelled"
        if idle:
            self._server.stop(_FLUSH_S).wait(_REFUSE_S)

    def refuse_queued(self) -> list[Future[None]]:
        """Have the requests answered that wait for a worker; none of them will get one."""
        error = ShuttingDown("the bridge is shutting down", started=False)
        queued = [job for job in self.dispatcher.pool.withdraw() if isinstance(job, Rpc)]
        return [self._refuse(rpc, error) for rpc in queued]

    # -- what gRPC takes for its thread pool ------------------------------------------------

    def submit(self, function: Callable[..., object], *args: Any) -> Rpc:
        """Have a request to call a tool handled: by a worker, or it is refused."""
        self._settle()
        self._keys += 1
        rpc = Rpc(self, self._keys, function, args)
        try:
            if self.dispatcher.draining:
                raise ShuttingDown("the bridge is shutting down", started=False)
            self.dispatcher.pool.submit(rpc)
        except CallError as error:
            self._refuse(rpc, error)
        return rpc

    def _settle(self) -> None:
        """Tell gRPC which requests are over.

        It counts them under the lock that its serving thread holds nearly always. A worker would
        wait for that; here, on that very thread, nobody does.
        """
        while self.completed:
            try:
                self.completed.popleft().run_callbacks()
            except IndexError:
                return  # the watch was faster

    def _refuse(self, rpc: Rpc, error: CallError) -> Future[None]:
        rpc.refusal = error
        return self._control.submit(rpc.handle)

    def _watch(self) -> None:
        """Keep the workers for tools: not for clients that have begun a request and do not send it."""
        pool = self.dispatcher.pool
        while True:
            time.sleep(_PATIENCE_S)
            self._settle()
            long_ago = time.monotonic() - _PATIENCE_S
            for worker in pool.workers:
                rpc = worker.job
                if isinstance(rpc, Rpc) and worker.since < long_ago and rpc.take_place():
                    pool.relieve(worker)

    # -- for services -----------------------------------------------------------------------

    def aside(self, behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
        """``behavior``, but run on the transport's own threads. Not for long work."""
        return mark(behavior, experimental_thread_pool=self._control, **marks)

    def check_size(self, message: bytes) -> bytes:
        """Raise ``CallError`` for a message that no client would be sent."""
        if len(message) > self._max_message_bytes:
            raise CallError(
                f"the result has {len(message)} bytes, above the limit of "
                f"{self._max_message_bytes} (--max-message-bytes)",
                code="resource_exhausted",
                started=True,
            )
        return message

    # -- parts ------------------------------------------------------------------------------

    def _listen(self) -> int:
        settings, server = self._settings, self._server
        if settings.is_unix:
            _check_socket(settings.host.removeprefix("unix:"))
        # a socket file belongs to this user alone
        umask = os.umask(0o077) if settings.is_unix else None
        try:
            if settings.tls_cert:
                port: int = server.add_secure_port(settings.address, _credentials(settings))
            else:
                port = server.add_insecure_port(settings.address)
        except RuntimeError as error:
            raise UsageError(
                f"cannot listen on {settings.address}: {error}; is something else there? "
                "--port 0 takes a free one"
            ) from None
        finally:
            if umask is not None:
                os.umask(umask)
        return port

    def _add_services(self) -> None:
        for service in self._services:
            service.add_to(self._server, self)
        checks = SimpleNamespace(
            Check=self.aside(self._health.Check),
            Watch=self.aside(self._health.Watch, experimental_non_blocking=True),
        )
        health_pb2_grpc.add_HealthServicer_to_server(checks, self._server)
        if self._settings.reflection:
            _add_reflection(self._server, [service.name for service in self._services])


class Rpc:
    """One request as a job of the pool, and the Future that gRPC wants to have for it."""

    lane: Lane | None = None
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
                time.sleep(_MOMENT_S)
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


class Exchange:
    """The call that a request asks for, and its peer: keeps the outcome for the request's thread.

    Services derive from it and say what goes over the wire. Made by a behavior, on its thread.
    """

    _result: Any = None
    _error: CallError | None = None
    _answered: threading.Event | None = None

    def __init__(self, transport: GrpcTransport, context: Any, sender: Sender | None) -> None:
        rpc = transport.threads.rpc
        assert rpc is not None
        self._rpc = rpc
        self._transport = transport
        self._context = context
        self._sender = sender

    # -- for services -----------------------------------------------------------------------

    def encode(self, value: Any, name: str) -> Any:
        """The message of a result or item, never None. Raises ``EncodeError``. On the tool's thread."""
        raise NotImplementedError

    def encode_progress(self, done: float, total: float | None, text: str | None) -> Any:
        """The message of a tool's progress; None: it has none."""
        return None

    def encode_log(self, level: str, logger: str, text: str, fields: dict[str, Any]) -> Any:
        """The message of a log line; None: it has none."""
        return None

    def serve(self, tool: str, params: Params, session: str | None = None) -> Any:
        """Call a tool and wait. Returns the message of its result. Raises ``CallError``.

        With a sender, the tool may stream.
        """
        rpc, context = self._rpc, self._context
        if rpc.refusal is not None:
            raise rpc.refusal
        worker = rpc.begin()
        dispatcher = self._transport.dispatcher
        request = Request(rpc.key, tool, params, self._options(session))
        call = dispatcher.admit(request, self, rpc.arrived)
        if call is not None:
            if call.lane is not None or worker is None:
                self._answered = threading.Event()
            if not context.add_callback(self._is_over):
                self._is_over()
            if not dispatcher.run_here(call, worker, rpc.began):
                assert self._answered is not None
                self._answered.wait()
        while self._error is None and self._result is None:
            time.sleep(_MOMENT_S)  # another thread ends the call, and is just about to say so
        if self._error is not None:
            raise self._error
        return self._result

    def _options(self, session: str | None) -> CallOptions:
        timeout_s: float | None = self._context.time_remaining()
        if timeout_s is not None:
            # an endless one comes as a very long one; ours counts from the request's arrival
            waited = time.monotonic() - self._rpc.arrived
            timeout_s = timeout_s + waited if timeout_s < 1e9 else None
        metadata = {
            key: value
            for key, value in self._context.invocation_metadata()
            if key not in _HIDDEN and type(value) is str and not key.startswith("grpc-")
        }
        return CallOptions(timeout_s, session, metadata, None if self._sender is None else (0, 0))

    def _is_over(self) -> None:
        """gRPC has ended the request: it was answered, or the client does not wait any more."""
        dispatcher, key = self._transport.dispatcher, self._rpc.key
        call = dispatcher.calls.get(key)
        if call is None:
            return
        if call.deadline is not None:
            slack = max(_SLACK_S, _SLACK_SHARE * (call.deadline - call.arrived))
            if call.deadline - time.monotonic() < slack:
                dispatcher.expire(key)
                return
        dispatcher.cancel(key)

    # -- dispatcher.Peer --------------------------------------------------------------------

    def send_result(self, key: int, result: Any) -> None:
        self._result = self.encode(result, "result")
        self._end()

    def send_error(self, key: int, error: CallError) -> None:
        self._error = error
        self._end()

    def _end(self) -> None:
        if self._answered is not None:
            self._answered.set()

    def open_stream(self, call: Call) -> Exchange:
        return self

    def send_progress(self, key: int, done: float, total: float | None, text: str | None) -> None:
        if self._sender is not None:
            self._sender.note(self.encode_progress(done, total, text))

    def send_log(
        self, level: str, logger: str, text: str, fields: dict[str, Any], key: int | None
    ) -> None:
        if self._sender is not None:
            self._sender.note(self.encode_log(level, logger, text, fields))

    # -- dispatcher.Sink --------------------------------------------------------------------

    def wait(self) -> None:
        """gRPC takes an item and then makes its sender wait."""

    def send(self, item: Any) -> None:
        assert self._sender is not None
        self._sender.send(self.encode(item, "item"))


class Sender:
    """The messages of one stream, one at a time. gRPC's ``send`` blocks while nobody reads.

    What a tool says beside its items must not wait for that: a thread of its own sends it.
    """

    def __init__(self, transport: GrpcTransport, send: Callable[[bytes | None], None]) -> None:
        self._transport = transport
        self._send = send
        self._sending = threading.Lock()
        self._notes: deque[bytes] = deque()
        self._noting = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send a message, after the notes before it. Blocks until the client takes it.

        Raises ``CallError`` if it is too large.
        """
        self._transport.check_size(message)
        with self._sending:
            self._send_notes()
            self._send(message)

    def end(self) -> None:
        """End the stream well."""
        self._send(None)

    def note(self, message: bytes | None) -> None:
        """Have a message sent before the next one, or sooner; or drop it, if the client is slow."""
        if message is None:
            return
        if len(self._notes) >= _MAX_NOTES:
            self._transport.dropped += 1
            return
        self._notes.append(message)
        if self._noting.acquire(blocking=False):
            threading.Thread(target=self._run, name="bridge-grpc-notes", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._sending:
                self._send_notes()
            self._noting.release()
            # who noted something meanwhile has seen the lock taken
            if not self._notes or not self._noting.acquire(blocking=False):
                return

    def _send_notes(self) -> None:
        while self._notes:
            self._send(self._notes.popleft())


class _PerThread(threading.local):
    """What each thread has for itself: an encoder, and the request that it handles."""

    rpc: Rpc | None = None

    def __init__(self) -> None:
        self.encoder = Encoder()


class _Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in who does not know the token, but health checks, which cannot send it."""

    def __init__(self, transport: GrpcTransport, token: Token) -> None:
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(transport.aside(self._refuse))

    def intercept_service(self, go_on: Callable[[Any], Any], details: Any) -> Any:
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return go_on(details)
        if self._token.admits(details.invocation_metadata):
            return go_on(details)
        return self._refusal

    def _refuse(self, request: bytes, context: Any) -> None:
        error = CallError(
            'this call needs the metadata "authorization: Bearer TOKEN" with the token of '
            "--token-file",
            code="unauthenticated",
            started=False,
        )
        context.abort_with_status(CallStatus(error))


def mark(behavior: Callable[..., Any], **marks: object) -> Callable[..., Any]:
    """``behavior`` with attributes that gRPC looks for; a bound method cannot have them."""

    def marked(*args: Any) -> Any:
        return behavior(*args)

    marked.__dict__.update(marks)
    return marked


def _add_reflection(server: Any, services: list[str]) -> None:
    from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
    # threads of its own: each client has one as long as its stream is open
    info = mark(
        reflection.ReflectionServicer(names).ServerReflectionInfo,
        experimental_thread_pool=ThreadPoolExecutor(16, "bridge-grpc-reflection"),
    )
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
        SimpleNamespace(ServerReflectionInfo=info), server
    )


def _check_socket(path: str) -> None:
    """gRPC would take the socket file from whoever listens there."""
    with socket.socket(socket.AF_UNIX) as other:
        try:
            other.connect(path)
        except OSError:
            return
    raise UsageError(f"cannot listen on {path}: somebody else does; name another socket")


def _credentials(settings: GrpcSettings) -> Any:
    """Credentials that follow the files: asked for with every new connection."""
    certificates = Certificates(settings)

    def configuration() -> Any:
        key, chain, authority = certificates.load()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)

    def fetch() -> Any:
        if not certificates.changed():
            return None
        try:
            return configuration()
        except UsageError as error:
            from ..logs import logger

            logger().error("the old certificate stays in use: %s", error)
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=bool(settings.tls_client_ca)
    )
