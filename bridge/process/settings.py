"""What the command line says about the process that is to serve."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..transports.grpc.settings import GrpcSettings


class Settings:
    """What the command line says; the defaults are those of ``bridge --help``.

    ``max_workers``: None = ``min(32, cores + 4)``. ``grace_s``: seconds that running calls get
    when the process ends. ``descriptors``: where the peer of stdio writes and reads, None: there
    is none. ``grpc``: where the gRPC server listens, None: there is none. ``ready_file``: where
    its port is written once it serves. ``thread_safety``: how to look for races, None: not at all.
    ``inline``: run quick tools on the thread that reads, if there is more than one worker.
    """

    def __init__(
        self,
        adapter: str,
        *,
        app_dir: str | None = None,
        max_workers: int | None = None,
        max_queue: int = 1024,
        max_message_bytes: int = 64 << 20,
        grace_s: float = 5.0,
        descriptors: tuple[int, int] | None = (0, 1),
        grpc: GrpcSettings | None = None,
        ready_file: str | None = None,
        thread_safety: ThreadSafetySettings | None = None,
        inline: bool = True,
        log_level: str = "warning",
        log_format: str = "text",
    ) -> None:
        self.adapter = adapter
        self.app_dir = app_dir
        self.max_workers = max_workers or min(32, (os.cpu_count() or 1) + 4)
        self.max_queue = max_queue
        self.max_message_bytes = max_message_bytes
        self.grace_s = grace_s
        self.descriptors = descriptors
        self.grpc = grpc
        self.ready_file = ready_file
        self.thread_safety = thread_safety
        self.inline = inline
        self.log_level = log_level
        self.log_format = log_format


class ThreadSafetySettings:
    """How ``--thread-safety-check`` looks for races.

    ``strict``: a race raises in the call that completes it. ``report``: a file for the report, as
    JSON, when the process ends.
    """

    def __init__(self, strict: bool = False, report: str | None = None) -> None:
        self.strict = strict
        # tools may change the working directory
        self.report = None if report is None else os.path.abspath(report)
