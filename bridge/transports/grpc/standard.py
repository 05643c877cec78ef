"""The services that gRPC itself defines: health checks and reflection, answered apart from tools.

They come from packages of their own, whose releases need not be as old as the bridge's: one of them
may have methods that nobody here has heard of, and registers them all. So the packages' own servicers
are served, and whatever methods they have are moved to other threads than those that run tools.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .rpc import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from typing import Any

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
        _move(self, health_pb2_grpc.HealthServicer, threads)

    def add_to(self, server: Any) -> None:
        """Register the methods with a ``grpc.Server``."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    def set(self, service: str, status: int) -> None:
        """Say how a service is from now on."""
        self._names.add(service)
        super().set(service, status)

    def List(self, request: Any, context: Any) -> Any:
        """How every service is. Release 1.85.1 declares the method, and answers "unimplemented"."""
        ask = health_pb2.HealthCheckRequest
        statuses = {name: self.Check(ask(service=name), context) for name in list(self._names)}
        return health_pb2.HealthListResponse(statuses=statuses)


class Reflection:
    """Tells clients the definitions of services.

    Args:
        names: full names of the services, beside those of this file.

    Raises ``ImportError`` without the package.
    """

    def __init__(self, names: Iterable[str]) -> None:
        from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

        self._package = reflection_pb2_grpc
        self._servicer = reflection.ReflectionServicer(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        )
        threads = ThreadPoolExecutor(_REFLECTION_THREADS, "bridge-grpc-reflection")
        _move(self._servicer, reflection_pb2_grpc.ServerReflectionServicer, threads)

    def add_to(self, server: Any) -> None:
        """Register the methods with a ``grpc.Server``."""
        self._package.add_ServerReflectionServicer_to_server(self._servicer, server)


def _move(servicer: Any, declared: type, threads: Executor) -> None:
    """Have ``threads`` run every method that the generated class ``declared`` has."""
    for name in vars(declared):
        if not name.startswith("_"):
            method = getattr(servicer, name)
            # what its package says of it holds on, for example that Watch sends by itself
            marks = {**vars(method.__func__), "experimental_thread_pool": threads}
            setattr(servicer, name, mark(method, **marks))
