"""The gRPC transport: tools for callers on the network, on the pool that serves stdio too.

It is there in two steps. Before an adapter is loaded, a ``GrpcTransport``: everything imported and
read that it takes. Once there is a dispatcher, a ``GrpcServer``, which listens, drains and closes.
What happens to a request in between is told in ``executor.py``; what requests say is the business
of a service, such as ``bridge_service.py``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

import grpc

from ...calls import Dispatcher
from ...wire import MAX_ITEMS
from .caller import ToolCaller
from .endpoint import Endpoint
from .executor import GrpcExecutor
from .service import Service, ServiceFactory
from .settings import GrpcSettings
from .standard import Health, Reflection

#: How many requests beyond those that wait for a worker, or have one, may be in the process.
_ROOM = 1024
#: Until the last answers are on their way; until all that were queued are refused.
_FLUSH_S, _REFUSE_S = 0.1, 1.0
#: For how long no request must have come when the server stops; and none, after some were refused.
_PAUSE_S, _QUIET_S = 0.05, 0.2
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
    # a connection that is not one after so long is closed: gRPC's default is two minutes
    ("grpc.server_handshake_timeout_ms", 20_000),
]


class GrpcTransport:
    """A gRPC server in all its parts, but for the dispatcher.

    Args:
        settings: where it listens and who may call it, checked.
        max_message_bytes: the size of the largest message, in both directions.
        services: make what clients can call, beside health checks.
        max_message_items: so many lists and maps may be in the arguments; default: 2 Mi.

    Raises:
        UsageError: a file of certificates or the token cannot be used.
        ImportError: reflection is wanted, and its package is not here.
    """

    def __init__(
        self,
        settings: GrpcSettings,
        max_message_bytes: int,
        services: Sequence[ServiceFactory],
        *,
        max_message_items: int = MAX_ITEMS,
    ) -> None:
        self._endpoint = Endpoint(settings)
        self._max_message_bytes = max_message_bytes
        self._max_message_items = max_message_items
        self._services = services
        self._reflection = Reflection() if settings.reflection else None

    def serve(self, dispatcher: Dispatcher) -> GrpcServer:
        """Listen, and have clients call the tools of ``dispatcher``. Once.

        Raises:
            UsageError: the address cannot be had.
        """
        executor = GrpcExecutor(dispatcher)
        caller = ToolCaller(
            dispatcher,
            executor,
            self._max_message_bytes,
            self._max_message_items,
            is_guarded=self._endpoint.is_guarded,
        )
        pool, size = dispatcher.pool, self._max_message_bytes
        make_server: Any = grpc.server  # takes any executor, other than pyright's stubs of gRPC say
        server = make_server(
            executor,
            interceptors=self._endpoint.guards(),
            maximum_concurrent_rpcs=pool.max_workers + pool.max_queue + _ROOM,
            options=[
                *_OPTIONS,
                *_ages(self._endpoint.settings),
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
            ],
        )
        services = [make(caller) for make in self._services]
        for service in services:
            server.add_registered_method_handlers(service.name, service.handlers())
        names = [service.name for service in services]
        health = Health()
        health.add_to(server)
        health.set_all(("", *names), True)
        if self._reflection is not None:
            self._reflection.add_to(server, names)
        address = self._endpoint.listen(server)
        server.start()
        executor.watch()
        return GrpcServer(server, executor, health, ("", *names), address, services)


def _ages(settings: GrpcSettings) -> list[tuple[str, int]]:
    """How long connections last, in milliseconds; gRPC itself makes that up to a tenth more or less."""
    age_s, grace_s = settings.max_connection_age_s, settings.max_connection_age_grace_s
    if age_s is None:
        return []
    ages = [("grpc.max_connection_age_ms", max(1, round(age_s * 1000)))]
    if grace_s is not None:
        ages.append(("grpc.max_connection_age_grace_ms", round(grace_s * 1000)))
    return ages


class GrpcServer:
    """A server that listens. Its methods are for the main thread.

    Args:
        server: the ``grpc.Server``, started.
        executor: what it was made with.
        health: its health checks.
        names: of which services they tell.
        address: the port, or the address of a Unix socket.
        services: what it serves beside health checks.
    """

    def __init__(
        self,
        server: Any,
        executor: GrpcExecutor,
        health: Health,
        names: Sequence[str],
        address: int | str,
        services: Sequence[Service] = (),
    ) -> None:
        self.address = address
        self._server = server
        self._executor = executor
        self._health = health
        self._names = names
        self._services = services

    def set_health(self, serving: bool) -> None:
        """Tell the health checks whether calls are served. No effect once it drains."""
        self._health.set_all(self._names, serving)

    def drain(self) -> None:
        """Tell the health checks. The dispatcher, once it drains, refuses new calls."""
        self._health.enter_graceful_shutdown()

    def stop(self) -> list[Future[None]]:
        """Let no further tool begin: refuse the requests that wait, and those on their way.

        Returns:
            What is done when those that wait are answered.
        """
        return self._executor.stop()

    def close(self, idle: bool) -> None:
        """Send what is still to be sent and stop; after the drain.

        Args:
            idle: whether no tool runs any more. The calls of those that do end with the connection,
                as unavailable; stopping the server would make that "cancelled".
        """
        for service in self._services:
            service.close()
        wait(self.stop(), _REFUSE_S)
        if idle and self._is_quiet() and self._server.stop(_FLUSH_S).wait(_REFUSE_S):
            self._executor.close()

    def _is_quiet(self) -> bool:
        """Wait until requests come no more, or for as long as may be; at least for the last answers.

        Stopping the server cancels those that are on their way. While clients go on all the same, they
        are refused as unavailable, until their connections end with the process.
        """
        began = now = time.monotonic()
        while now < began + _REFUSE_S:
            last = self._executor.last_arrival
            if now - last >= (_QUIET_S if last > began else _PAUSE_S):
                return True
            time.sleep(_PAUSE_S)
            now = time.monotonic()
        return False
