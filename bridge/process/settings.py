"""The options of a process that serves, but those of gRPC: rows of the table and their values."""

from __future__ import annotations

import os

from ..options import (
    Bytes,
    Choice,
    Choices,
    Descriptors,
    Group,
    Names,
    Options,
    Seconds,
    SecondsOrOff,
    Switch,
    Text,
    WholeNumber,
    option,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..telemetry import TelemetrySettings
    from ..transports.grpc.settings import GrpcSettings

ADAPTER = Group("Adapter")
CALLS = Group("Calls", "How many may run and wait, how large they may be, and how they end.")
TRANSPORTS = Group("Transports")
ENGINE = Group("Engine", "Other processes, or a cluster of Ray, that run the tools.")
LOGS = Group("Logs")
THREAD_SAFETY = Group("Thread safety", "What is found is logged, and part of the stats.")


#: So much memory may be shared unless ``--shared-memory`` says so.
MEMORY_BYTES = 1 << 30


def default_workers() -> int:
    """How many threads run tools unless ``--max-workers`` says so.

    Most tools wait, and who waits needs no core: 16 of them, on however few cores. Threads start
    when they are needed. More would be no better where tools compute (``docs/thread-safety.md``).
    """
    try:
        cores = len(os.sched_getaffinity(0))  # of this process, not of the machine
    except (AttributeError, OSError):
        cores = os.cpu_count() or 1
    return min(32, max(16, cores + 4))


class ThreadSafetySettings(Options):
    """Whether races are looked for, and what becomes of them.

    ``report`` is absolute from the start on: tools may change the working directory.
    """

    check: bool = option(
        "--thread-safety-check",
        Switch(),
        "Look for races while serving, which is slow.",
        group=THREAD_SAFETY,
        default=False,
    )
    strict: bool = option(
        "--thread-safety-strict",
        Switch(),
        "Look for races, and raise in the call that has one.",
        group=THREAD_SAFETY,
        default=False,
    )
    report: str | None = option(
        "--thread-safety-report",
        Text("FILE", "the path of a file"),
        "Look for races, and write what was found there as JSON when the process ends.",
        group=THREAD_SAFETY,
        default=None,
    )

    def __post_init__(self) -> None:
        if self.report is not None:
            self.report = os.path.abspath(self.report)

    @property
    def wanted(self) -> bool:
        """Whether any of the options asks for a check."""
        return self.check or self.strict or self.report is not None


class Settings(Options):
    """What the process is told, by its command line or by a program that builds it.

    Args:
        grpc: Where the gRPC server listens; without ``grpc`` in ``transport`` it is None whatever
            is given here.
        thread_safety: How races are looked for, None: not at all.
        telemetry: What the operator is told, None: nothing.
    """

    adapter: str = option(
        "--adapter",
        Text("NAME", "MODULE:CLASS, MODULE.CLASS or MODULE"),
        "What to serve: a class of tools, or a module whose functions are marked @tool.",
        group=ADAPTER,
    )
    app_dir: str | None = option(
        "--app-dir",
        Text("DIR", "the path of a directory"),
        "Where the adapter is imported from.",
        group=ADAPTER,
        default=None,
        default_text="the working directory",
    )
    allow: tuple[str, ...] | None = option(
        "--allow",
        Names("MODULES", "names of modules, like numpy.linalg,math"),
        "The modules whose functions the adapter Functions serves.",
        group=ADAPTER,
        default=None,
        default_text="none",
    )
    max_workers: int = option(
        "--max-workers",
        WholeNumber(1),
        "Threads that run tools. With 1 the tools need not be thread-safe.",
        group=CALLS,
        default_factory=default_workers,
        default_text="cores + 4, at least 16 and at most 32",
    )
    max_async: int = option(
        "--max-async",
        WholeNumber(1),
        "Calls of async tools that run at once, without a worker.",
        group=CALLS,
        default=256,
    )
    max_queue: int = option(
        "--max-queue",
        WholeNumber(0),
        "Calls that may wait for their turn; one more is refused at once.",
        group=CALLS,
        default=1024,
    )
    inline: bool = option(
        "--no-inline",
        Switch(),
        "Run every call on a worker, also those of tools that take microseconds.",
        group=CALLS,
        default=True,
    )
    max_message_bytes: int = option(
        "--max-message-bytes",
        Bytes(1024, (1 << 31) - 1),  # no port of Erlang's takes more, nor does gRPC
        "A longer message is refused.",
        group=CALLS,
        default=64 << 20,
    )
    max_message_items: int = option(
        "--max-message-items",
        WholeNumber(1),
        "A message with more lists and maps is refused: each takes up to 240 bytes of memory.",
        group=CALLS,
        default=2 << 20,
    )
    max_answer_bytes: int = option(
        "--max-answer-bytes",
        Bytes(1024, (1 << 31) - 1),  # no port of Erlang's takes more
        "A longer result or item is an error of its call, over stdio.",
        group=CALLS,
        default=2047 << 20,
    )
    memory_bytes: int = option(
        "--shared-memory",
        Bytes(0),
        "So much memory may hold large data of both directions beside the pipe; 0: none does.",
        group=CALLS,
        default=MEMORY_BYTES,
    )
    memory_from: int = option(
        "--shared-memory-from",
        Bytes(1 << 16),
        "Smaller data stays in the pipe.",
        group=CALLS,
        default=1 << 20,
    )
    engine: str | None = option(
        "--engine",
        Choice("NAME", "ray", "processes", "local"),
        "Where tools run, whatever the adapter says: in replicas there, or here.",
        group=ENGINE,
        default=None,
        default_text="as the adapter says, else here",
    )
    replicas: int | None = option(
        "--replicas",
        WholeNumber(1),
        "How many replicas there are.",
        group=ENGINE,
        default=None,
        default_text="as the adapter says, else 2",
    )
    grace_s: float = option(
        "--grace",
        Seconds(),
        "The time that running calls have when the process ends.",
        group=CALLS,
        default=5.0,
    )
    stuck_after_s: float | None = option(
        "--stuck-after",
        SecondsOrOff(),
        "Health says stuck when every worker was held so long by calls that nobody awaits.",
        group=CALLS,
        default=30.0,
    )
    interrupt_abandoned_s: float | None = option(
        "--interrupt-abandoned",
        SecondsOrOff(),
        "Raise bridge.Interrupted in a tool that goes on so long after nobody awaits it any more.",
        group=CALLS,
        default=None,
        default_text="off",
    )
    transport: tuple[str, ...] = option(
        "--transport",
        Choices("NAMES", "stdio", "grpc"),
        "How calls come; with stdio,grpc both ways at once, on the same workers.",
        group=TRANSPORTS,
        default=("stdio",),
    )
    fds: tuple[int, int] = option(
        "--fds",
        Descriptors(),
        "Where calls come and answers go over stdio: 3,4 with the port option :nouse_stdio.",
        group=TRANSPORTS,
        default=(0, 1),
    )
    log_level: str = option(
        "--log-level",
        Choice("LEVEL", "debug", "info", "warning", "error"),
        "The least that is logged.",
        group=LOGS,
        default="warning",
    )
    log_format: str = option(
        "--log-format",
        Choice("FORMAT", "text", "json"),
        "What log lines on stderr look like.",
        group=LOGS,
        default="text",
    )
    grpc: GrpcSettings | None = None
    thread_safety: ThreadSafetySettings | None = None
    telemetry: TelemetrySettings | None = None

    def __post_init__(self) -> None:
        if "grpc" not in self.transport:
            self.grpc = None
        elif self.grpc is None:
            from ..transports.grpc.settings import GrpcSettings

            self.grpc = GrpcSettings()

    @property
    def descriptors(self) -> tuple[int, int] | None:
        """Where the peer of stdio writes and reads; None without ``stdio`` in ``transport``."""
        return self.fds if "stdio" in self.transport else None

    @property
    def memory(self) -> tuple[int, int]:
        """How much memory may be shared with a peer of stdio, and from which size on data goes there."""
        return self.memory_bytes if hasattr(os, "memfd_create") else 0, self.memory_from

    @property
    def ready_file(self) -> str | None:
        """Where the port of gRPC is written once it serves; None: nowhere."""
        return None if self.grpc is None else self.grpc.ready_file
