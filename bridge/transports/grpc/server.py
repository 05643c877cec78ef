"""The gRPC transport: tools for callers on the network, on the pool that serves stdio too.

gRPC's server hands every request to a pool as a function to run. The requests that call tools go
to the bridge's own pool, so that a running one occupies one worker, a queued one none, and a tool
cannot tell where its call came from. Everything else is answered by a few threads of the
transport, however busy the workers are. What the requests say is the business of a service:
``grpc_service.py``, with an exchange (``grpc_exchange.py``) for each that calls a tool.

The facts about ``grpc.server`` that this rests on: it calls ``submit`` on its one serving thread,
and ``submit`` must not raise; it receives a request, and answers a unary one, on the thread that
runs its function; ``add_callback`` runs when the request is over, for whatever reason.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait

import grpc
from grpc_health.v1 import health_pb2

from ...errors import CallError, ShuttingDown, UsageError
from .credentials import Token
from .rpc import PerThread, Rpc, mark
from .security import Guard, check_socket, credentials, has_ipv6
from .standard import Health, Reflection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from ...calls.dispatcher import Dispatcher
    from ...context import Elixir
    from .settings import GrpcSettings

    class Service(Protocol):
        """Some methods that clients may call, and what their messages mean."""

        #: Its full name, ``package.Service``.
        name: str
        # elixir: the way back to the program that calls, if it has one

        @property
        def elixir(self) -> Elixir | None: ...

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
#: How many free ports are tried on both addresses of this machine.
_PORTS = 8
#: Until the last answers are on their way; until all that were queued are refused.
_FLUSH_S, _REFUSE_S = 0.1, 1.0
_OPTIONS = [
    # two bridges on one port would take turns
    ("grpc.so_reuseport", 0),
    # without a word, clients in Elixir take it that 100 calls are all that a connection may hold
    ("grpc.max_concurrent_streams", 2**31 - 1),
    # above 1000 that Python has not seen yet gRPC ends some as cancelled, which nobody did; here
    # they are refused in so many words instead
    ("grpc.server.max_pending_requests", 2**16),
    ("grpc.server.max_pending_requests_hard_limit", 2**16),
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
    Raises ``ImportError`` if reflection is wanted and its package is not here.
    """

    def __init__(
        self, settings: GrpcSettings, max_message_bytes: int, services: Sequence[Service]
    ) -> None:
        self._settings = settings
        self._services = services
        self._max_message_bytes = max_message_bytes
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, "bridge-grpc-control")
        self._health = Health(self._control)
        names = [service.name for service in services]
        self._reflection = Reflection(names) if settings.reflection else None
        self._server: Any = None
        self.dispatcher: Dispatcher
        self.threads = PerThread()
        #: Progress and log lines that were dropped.
        self.dropped = 0
        self._keys = _FIRST_KEY
        #: Requests that were handled, which gRPC does not know yet.
        self.completed: deque[Rpc] = deque()

    @property
    def elixir(self) -> Elixir | None:
        """The way back to the program that calls, if one of the services has it."""
        return next((s.elixir for s in self._services if s.elixir is not None), None)

    # -- life -------------------------------------------------------------------------------

    def start(self, dispatcher: Dispatcher) -> int | str:
        """Listen and serve. Returns the port, or the address of a Unix socket.

        Raises ``UsageError`` if the address cannot be had.
        """
        self.dispatcher = dispatcher
        settings, pool = self._settings, dispatcher.pool
        size = self._max_message_bytes
        guards = [Guard(Token(settings.token_file), self.aside)] if settings.token_file else ()
        self._server = server = grpc.server(
            self,
            interceptors=guards,
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
        settings = self._settings
        if settings.is_unix:
            check_socket(settings.host.removeprefix("unix:"))
        # a socket file belongs to this user alone
        umask = os.umask(0o077) if settings.is_unix else None
        try:
            port = (
                self._listen_here()
                if settings.host == "localhost"
                else self._bind(settings.address)
            )
        except RuntimeError as error:
            raise UsageError(
                f"cannot listen on {settings.address}: {error}; is something else there? "
                "--port 0 takes a free one"
            ) from None
        finally:
            if umask is not None:
                os.umask(umask)
        return port

    def _listen_here(self) -> int:
        """Take one port of both addresses that a client may find under ``localhost``.

        Which of them gRPC would take depends on its version and on the hosts file. Raises
        ``RuntimeError`` if the port is not free.
        """
        wanted = self._settings.port
        for _ in range(_PORTS):
            port = self._bind(f"127.0.0.1:{wanted}")
            if not has_ipv6():
                break
            try:
                self._bind(f"[::1]:{port}")
                break
            except RuntimeError:
                # of two free ports with one number, somebody has the other
                if wanted:
                    raise
        return port

    def _bind(self, address: str) -> int:
        """Raises ``RuntimeError`` if the address cannot be had."""
        settings, server = self._settings, self._server
        if settings.tls_cert:
            port: int = server.add_secure_port(address, credentials(settings))
        else:
            port = server.add_insecure_port(address)
        return port

    def _add_services(self) -> None:
        for service in self._services:
            service.add_to(self._server, self)
        self._health.add_to(self._server)
        if self._reflection is not None:
            self._reflection.add_to(self._server)
