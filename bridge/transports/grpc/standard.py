"""The services that gRPC itself defines: health checks and reflection, answered apart from tools.

They come from packages of their own, whose releases need not be as old as the bridge's: one of them
may have methods that nobody here has heard of, and registers them all. So the packages' own servicers
are served, and whatever methods they have run on other threads than those of the tools.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .behavior import mark

#: Each client of reflection has a thread as long as its stream is open.
_REFLECTION_THREADS = 16


class Health(health.HealthServicer):  # type: ignore[misc]
    """Says of each service whether it serves, by ``Check``, ``Watch`` and, in newer releases, ``List``.

    Args:
        threads: what runs the methods, however busy the workers are.
    """

    def __init__(self, threads: Executor) -> None:
        super().__init__()
        self._names: set[str] = set()
        self._serving: bool | None = None
        self._threads = threads

    def add_to(self, server: Any) -> None:
        """Register the methods with a ``grpc.Server``."""
        apart = _apart(self, health_pb2_grpc.HealthServicer, self._threads)
        health_pb2_grpc.add_HealthServicer_to_server(apart, server)

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
            ThreadPoolExecutor(_REFLECTION_THREADS, "bridge-grpc-reflection"),
        )
        self._stubs.add_ServerReflectionServicer_to_server(apart, server)


def _apart(servicer: Any, declared: type, threads: Executor) -> SimpleNamespace:
    """Every method of ``servicer`` that the generated class ``declared`` has, run by ``threads``."""
    methods = {}
    for name in vars(declared):
        if not name.startswith("_"):
            method = getattr(servicer, name)
            # what its package says of it holds on, for example that Watch sends by itself
            marks = {**vars(method.__func__), "experimental_thread_pool": threads}
            methods[name] = mark(method, **marks)
    return SimpleNamespace(**methods)
