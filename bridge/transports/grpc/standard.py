"""The services that gRPC itself defines: health checks and reflection, answered apart from tools.

They come from packages of their own, whose releases need not be as old as the bridge's: one of them
may have methods that nobody here has heard of, and registers them all. So the packages' own servicers
are served, and whatever methods they have run on other threads than those of the tools.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .behavior import Place, mark
from .sender import Drops, Sender

#: Streams of ``Watch`` that may be open, of callers with a token and without each.
_MAX_WATCHES = 128
#: What a service is called that there is not.
_UNKNOWN = "no such service"

Marker = Callable[..., Callable[..., Any]]


class Health(health.HealthServicer):  # type: ignore[misc]
    """Says of each service whether it serves, by ``Check``, ``Watch`` and, in newer releases, ``List``.

    Whoever wants to know takes nothing from others: the package has all wait for a client of ``Watch``
    that does not read, and remembers every name that was ever asked for.

    Args:
        marker: marks a behavior, as ``mark`` does; default: with the place of what is answered aside.
    """

    def __init__(self, marker: Marker = mark) -> None:
        super().__init__()
        self._names: set[str] = set()
        self._serving: bool | None = None
        self._marker = marker
        self._drops = Drops()
        self._of_callers, self._of_anybody = (
            threading.BoundedSemaphore(_MAX_WATCHES) for _ in range(2)
        )

    def add_to(self, server: Any) -> None:
        """Register the methods with a ``grpc.Server``."""
        apart = _apart(self, health_pb2_grpc.HealthServicer, self._marker, Place.ASIDE)
        # the guard looks for it
        vars(apart.Watch)["for_anybody"] = self._watch_for_anybody
        health_pb2_grpc.add_HealthServicer_to_server(apart, server)

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        """Send how a service is, and again whenever that changes."""
        self._watch(request, context, send_response_callback, self._of_callers)

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]

    def _watch_for_anybody(self, request: Any, context: Any, send: Any) -> None:
        self._watch(request, context, send, self._of_anybody)

    def _watch(
        self, request: Any, context: Any, send: Any, places: threading.BoundedSemaphore
    ) -> None:
        if not places.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{_MAX_WATCHES} clients watch already; ask with Check",
            )
        if not context.add_callback(places.release):
            places.release()
            return
        if request.service not in self._names:
            request.service = _UNKNOWN
        sender = Sender(send, 0, self._drops)

        def tell(response: Any) -> None:
            if response is not None:  # at the end, which gRPC knows of
                sender.note(response)

        super().Watch(request, context, tell)

    def set(self, service: str, status: int) -> None:
        """Say how a service is from now on."""
        self._names.add(service)
        super().set(service, status)

    def set_all(self, services: Iterable[str], serving: bool) -> None:
        """Say whether they serve from now on. One thread; no effect if that was said last."""
        if serving is not self._serving:
            self._serving = serving
            response = health_pb2.HealthCheckResponse
            for service in services:
                self.set(service, response.SERVING if serving else response.NOT_SERVING)

    def List(self, request: Any, context: Any) -> Any:
        """How every service is. Release 1.85.1 declares the method, and answers "unimplemented"."""
        ask = health_pb2.HealthCheckRequest
        statuses = {name: self.Check(ask(service=name), context) for name in list(self._names)}
        response: Any = vars(health_pb2)["HealthListResponse"]  # not in pyright's stubs
        return response(statuses=statuses)


class Reflection:
    """Tells clients the definitions of services.

    Raises:
        ImportError: the package is not here.
    """

    def __init__(self) -> None:
        from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

        self._reflection = reflection
        self._stubs = reflection_pb2_grpc

    def add_to(self, server: Any, names: Iterable[str]) -> None:
        """Register the methods with a ``grpc.Server``.

        Args:
            server: not started yet.
            names: full names of its services, beside those of this file.
        """
        own = (health.SERVICE_NAME, self._reflection.SERVICE_NAME)
        apart = _apart(
            self._reflection.ReflectionServicer((*names, *own)),
            self._stubs.ServerReflectionServicer,
            mark,
            Place.STREAM,
        )
        self._stubs.add_ServerReflectionServicer_to_server(apart, server)


def _apart(servicer: Any, declared: type, marker: Marker, place: Place) -> SimpleNamespace:
    """Every method of ``servicer`` that the generated class ``declared`` has, marked with a place."""
    methods = {}
    for name in vars(declared):
        if not name.startswith("_"):
            method = getattr(servicer, name)
            # what its package says of it holds on, for example that Watch sends by itself
            marks = {**vars(method.__func__), "place": place}
            marks.pop("experimental_thread_pool", None)
            methods[name] = marker(method, **marks)
    return SimpleNamespace(**methods)
