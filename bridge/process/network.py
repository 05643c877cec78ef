"""What a process has to do with the network: gRPC, metrics and spans, or why there can be none."""

from __future__ import annotations

import os
import sys

from ..errors import UsageError
from ..gil import is_free_threaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from ..telemetry.server import MetricsServer
    from ..transports.grpc.server import GrpcTransport
    from ..transports.grpc.service import ServiceFactory
    from .settings import Settings


def open_grpc(
    settings: Settings, services: Callable[[], Sequence[ServiceFactory]]
) -> GrpcTransport | None:
    """What is there of gRPC before an adapter is loaded.

    Args:
        settings: of the process.
        services: makes what clients can call; imports what that needs.

    Returns:
        None if nothing is to be served over gRPC.

    Raises:
        UsageError: the settings contradict each other, or a package is missing.
    """
    if settings.grpc is None:
        return None
    settings.grpc.check()
    # what gRPC does in a forked process while it serves crashes that process
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        from ..transports.grpc.server import GrpcTransport

        return GrpcTransport(
            settings.grpc,
            settings.max_message_bytes,
            services(),
            max_message_items=settings.max_message_items,
        )
    except ImportError as error:
        if is_free_threaded():
            raise UsageError(
                "gRPC is not served here: grpcio has no packages for free-threaded Python, "
                f"which {sys.executable} is. Serve over stdio, or gRPC with an ordinary build"
            ) from None
        from ..requirements import remedy

        raise UsageError(
            f"gRPC needs packages that are not here ({error}): {remedy('grpc')}"
        ) from None


def open_metrics(settings: Settings) -> MetricsServer | None:
    """What listens for Prometheus; None if nothing is to be told.

    Raises:
        UsageError: nothing can listen there, or a package is missing.
    """
    if settings.telemetry is None or settings.telemetry.metrics_port is None:
        return None
    try:
        from ..telemetry.server import MetricsServer
    except ImportError as error:
        from ..requirements import remedy

        raise UsageError(
            f"--metrics-port needs a package that is not here ({error}): {remedy('metrics')}"
        ) from None
    return MetricsServer(settings.telemetry)


def load_tracing(settings: Settings) -> ModuleType | None:
    """What makes spans; None if nobody wants any.

    Raises:
        UsageError: a package is missing.
    """
    if settings.telemetry is None or not settings.telemetry.tracing:
        return None
    try:
        from ..telemetry import tracing
    except ImportError as error:
        from ..requirements import remedy

        raise UsageError(
            f"--tracing needs packages that are not here ({error}): {remedy('otel')}"
        ) from None
    return tracing
