"""What a process that begins to serve tells whoever started it."""

from __future__ import annotations

import os

from .. import __version__
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..calls import Dispatcher
    from ..loading import LoadedAdapter
    from ..telemetry.server import MetricsServer
    from ..thread_safety import ThreadSafetyChecker
    from ..transports.stdio import StdioTransport
    from .settings import Settings

PROTOCOL_VERSION = 1
FEATURES = ["cancel", "deadline", "stream", "progress", "log", "tensor", "batch"]


def describe(
    settings: Settings,
    dispatcher: Dispatcher,
    grpc_port: int | str | None,
    metrics: MetricsServer | None,
) -> dict[str, Any]:
    """The parameter of ``$/ready``: see ``protos/stdio.md``."""
    return {
        "protocol": PROTOCOL_VERSION,
        "version": __version__,
        "features": FEATURES + (["shared_memory"] if settings.memory[0] else []),
        "limits": {
            "max_message_bytes": settings.max_message_bytes,
            "max_message_items": settings.max_message_items,
            "max_answer_bytes": settings.max_answer_bytes,
            "max_workers": settings.max_workers,
            "max_queue": settings.max_queue,
            "shared_memory_from": settings.memory[1] if settings.memory[0] else None,
        },
        "tools": sorted(dispatcher.tools),
        "idempotent": sorted(
            name for name, tool in dispatcher.tools.items() if tool.tool.idempotent
        ),
        "python": dispatcher.python,
        "pid": os.getpid(),
        "grpc_port": grpc_port,
        "metrics_port": None if metrics is None else metrics.port,
    }


def reports(
    adapter: LoadedAdapter,
    checker: ThreadSafetyChecker | None,
    stdio: StdioTransport | None,
) -> dict[str, Callable[[], Any]]:
    """What ``$/stats`` shows beside what the dispatcher counts, by name."""
    told = {**adapter.reports} if checker is None else {"thread_safety": checker.get_report}
    if stdio is not None:
        told["shared_memory"] = stdio.describe_memory
    return told


def announce(settings: Settings, grpc_port: int | str) -> None:
    """Tell where the gRPC server listens to whoever cannot read it in ``$/ready``.

    Raises:
        UsageError: the file of ``--ready-file`` cannot be written.
    """
    if settings.ready_file is not None:
        try:
            _write_whole(os.path.realpath(settings.ready_file), f"{grpc_port}\n")
        except OSError as error:
            raise UsageError(f"--ready-file {settings.ready_file}: {error.strerror}") from None
    if settings.descriptors is None:
        # in one write, also where stdout has no buffer
        print(f"GRPC_READY:{grpc_port}\n", end="", flush=True)


def _write_whole(path: str, text: str) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        unfinished = path  # a pipe or a device, which no file may replace
    else:
        unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "w") as file:
        file.write(text)
    if unfinished != path:
        os.replace(unfinished, path)  # so that nobody finds half of it


def announce_metrics(settings: Settings, port: int) -> None:
    """Tell where the metrics are to whoever cannot read it in ``$/ready``."""
    if settings.descriptors is None:
        print(f"METRICS_READY:{port}\n", end="", flush=True)
