"""The life of the process: build it, say that it is ready, wait for a reason to end, drain, leave."""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import Empty, SimpleQueue

from . import __version__
from .dispatcher import Dispatcher
from .errors import AdapterError, CallError
from .loading import check_workers, load
from .pool import Pool
from .transports.stdio import StdioTransport, claim_descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .loading import LoadedAdapter

CLEAN, FATAL, USAGE = 0, 1, 2
_INTERRUPTED = 130  # what shells report for Ctrl-C
PROTOCOL_VERSION = 1
#: How often the main thread looks whether its parent is still there.
_WATCH_S = 0.5
#: What the end may take beyond the grace.
_MARGIN_S = 0.4
#: Reasons to end after which nobody reads what we write.
_GONE = ("peer gone", "parent gone")


class Settings:
    """What the command line says; the defaults are those of ``bridge --help``.

    ``max_workers``: None = ``min(32, cores + 4)``. ``grace_s``: seconds that running calls get
    when the process ends. ``descriptors``: where the peer writes and reads.
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
        descriptors: tuple[int, int] = (0, 1),
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
        self.log_level = log_level
        self.log_format = log_format


class Server:
    """One process, from its start to its exit code. ``run`` belongs to the main thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # not an Event: a signal handler may interrupt the thread that waits for it
        self._reasons: SimpleQueue[str] = SimpleQueue()
        self._parent = os.getppid()

    def run(self) -> int:
        """Serve until there is a reason to end. Returns the exit code, unless a tool hangs."""
        settings = self._settings
        try:
            reader, writer = claim_descriptors(*settings.descriptors)
        except OSError as error:
            print(f"bridge: --fds {settings.descriptors}: {error}", file=sys.stderr)
            return USAGE
        transport = StdioTransport(
            reader,
            writer,
            max_message_bytes=settings.max_message_bytes,
            gone=lambda: self._reasons.put("peer gone"),
            shutdown=lambda: self._reasons.put("shutdown"),
        )
        try:
            adapter = load(settings.adapter, settings.app_dir)
            check_workers(adapter, settings.max_workers)
            adapter.setup()
        except AdapterError as error:
            print(f"bridge: {error}", file=sys.stderr, flush=True)
            transport.refuse(CallError(str(error), code="failed_precondition"))
            return FATAL
        pool = Pool(settings.max_workers, settings.max_queue)
        dispatcher = Dispatcher(adapter.tools, pool)
        self._handle_signals()
        # the first message, before a request that came early can be answered
        transport.ready(self._describe(adapter))
        self._configure_logs(transport)
        transport.start(dispatcher)
        reason = self._wait()
        return self._end(reason, dispatcher, transport, adapter)

    def _wait(self) -> str:
        while True:
            try:
                return self._reasons.get(timeout=_WATCH_S)
            except Empty:
                # somebody else may hold the pipe open that would have told us
                if os.getppid() != self._parent:
                    return "parent gone"

    def _end(
        self,
        reason: str,
        dispatcher: Dispatcher,
        transport: StdioTransport,
        adapter: LoadedAdapter,
    ) -> int:
        grace = self._settings.grace_s
        # whatever hangs from here on, a tool, close() or a peer that does not read: leave
        self._leave_after(grace + _MARGIN_S)
        transport.drain()
        if reason in _GONE:
            dispatcher.draining = True
            dispatcher.cancel_all("the caller is gone")
            idle = dispatcher.wait_until_idle(grace)
        else:
            signal.signal(signal.SIGINT, lambda *_: _leave(_INTERRUPTED))
            dispatcher.drain(grace)
            idle = dispatcher.wait_until_idle(_MARGIN_S / 4)
        dispatcher.pool.close()
        try:
            adapter.close()
        except Exception as error:
            print(f"bridge: close() of {adapter.name} failed: {error!r}", file=sys.stderr)
        if reason not in _GONE:
            transport.bye(reason)
        _end_children()
        if not idle:
            _leave(CLEAN)
        return CLEAN

    def _leave_after(self, seconds: float) -> None:
        def leave() -> None:
            _end_children()
            _leave(CLEAN)

        timer = threading.Timer(seconds, leave)
        timer.daemon = True
        timer.start()

    def _handle_signals(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._reasons.put("sigterm"))
        signal.signal(signal.SIGINT, lambda *_: self._reasons.put("sigint"))

    def _configure_logs(self, transport: StdioTransport) -> None:
        settings = self._settings
        if "logging" in sys.modules or settings.log_level in ("debug", "info"):
            from . import logs

            def send(level: str, logger: str, text: str, fields: dict[str, Any]) -> bool:
                return transport.send_log(level, logger, text, fields, None)

            logs.configure(settings.log_level, settings.log_format, send)

    def _describe(self, adapter: LoadedAdapter) -> dict[str, Any]:
        settings = self._settings
        return {
            "protocol": PROTOCOL_VERSION,
            "version": __version__,
            "features": ["cancel", "deadline", "stream", "progress", "log", "tensor"],
            "limits": {
                "max_message_bytes": settings.max_message_bytes,
                "max_workers": settings.max_workers,
                "max_queue": settings.max_queue,
            },
            "tools": sorted(adapter.tools),
            "python": describe_python(),
            "pid": os.getpid(),
            "grpc_port": None,
        }


def describe_python() -> dict[str, Any]:
    """Which interpreter runs here, and whether the GIL is on."""
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "free_threaded": "t" in getattr(sys, "abiflags", ""),
        "gil": is_gil_enabled(),
    }


def _end_children() -> None:
    """End what the tools started and left behind.

    A port program is the leader of a session of its own, so its process group is what it and its
    tools started. Started by hand, the group is somebody else's and is left alone. The signal
    reaches this process as well, whose handler has nothing left to do.
    """
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid() == os.getpgrp():
        os.killpg(os.getpgrp(), signal.SIGTERM)


def _leave(code: int) -> NoReturn:
    """End the process although threads are still at work."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code)
