"""The HTTP server of the metrics: a few threads beside those that run tools."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import make_wsgi_app
from prometheus_client.registry import CollectorRegistry

from ..errors import UsageError
from ..threads import start_thread
from .families import BridgeCollector
from .settings import TelemetrySettings

#: So many are answered at once; who comes then is sent away. Prometheus comes alone.
_AT_ONCE = 4
#: How long, in seconds, one may take to send a request, and to read the answer.
_PATIENCE_S = 10.0


class MetricsServer:
    """Listens from the moment it is made, and answers once it serves.

    Args:
        settings: where it listens.

    Raises:
        UsageError: nothing can listen there.
    """

    def __init__(self, settings: TelemetrySettings) -> None:
        host, port = settings.metrics_host, settings.metrics_port or 0
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            server = type("_Listener", (_Listener,), {"address_family": family})
            self._http = server((host, port), _Handler)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--metrics-host {host} --metrics-port {port}: {reason}") from None
        #: The port that it listens on.
        self.port: int = self._http.server_port

    def serve(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        """Answer from now on, until the process ends.

        Args:
            stats: the statistics of the process; called on a thread of this server for each scrape.
        """
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(BridgeCollector(stats))
        self._http.set_app(make_wsgi_app(registry))
        # where no thread can be had there are no metrics; calls are served
        start_thread(Thread(target=self._http.serve_forever, name="bridge-metrics", daemon=True))

    def forked(self) -> None:
        """In a process that a tool has forked: let go of the port."""
        self._http.socket.close()


class _Listener(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._room = BoundedSemaphore(_AT_ONCE)
        super().__init__(*args)

    def server_bind(self) -> None:
        # WSGIServer would ask the network for the name of this machine
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # there are no more threads
            self._room.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked is gone, or too slow: nobody needs to know."""


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is nothing for the log."""
