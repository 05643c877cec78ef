"""The end of a gRPC server, and how long its connections last."""

import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("grpc")

from bridge import tool
from bridge.transports.grpc.server import GrpcServer, _ages
from bridge.transports.grpc.settings import GrpcSettings

from .grpc_requests import GrpcBench, ScriptedReception


class FakeServer:
    """gRPC's, which notes that it was stopped."""

    stopped = False

    def stop(self, grace):
        self.stopped = True
        ended = threading.Event()
        ended.set()
        return ended


class FakeExecutor:
    """One whose last request came when ``arrivals`` says so."""

    def __init__(self, arrivals):
        self._arrivals = arrivals
        self.closed = False

    @property
    def last_arrival(self):
        return self._arrivals()

    def stop(self):
        return []

    def close(self):
        self.closed = True


def closed(arrivals, idle=True):
    server, executor = FakeServer(), FakeExecutor(arrivals)
    GrpcServer(server, executor, SimpleNamespace(), [""], 1).close(idle)
    assert executor.closed == server.stopped
    return server.stopped


def test_the_server_is_stopped_when_nothing_comes_any_more():
    assert closed(lambda: time.monotonic() - 10)
    # one was on its way as the drain ended
    latest = time.monotonic() + 0.02
    assert closed(lambda: latest)


def test_the_server_is_not_stopped_under_a_flood_which_would_cancel_it():
    assert not closed(time.monotonic)
    assert not closed(lambda: time.monotonic() - 10, idle=False)


def test_what_comes_after_the_end_of_the_drain_is_refused_without_a_thread():
    @tool
    def echo(value):
        return value

    bench = GrpcBench(echo)
    bench.executor.stop()
    bench.executor.control.shutdown()
    before = time.monotonic()
    late = ScriptedReception()
    visit = bench.visit_late(late, "echo", 1)
    assert late.status.code.name == "UNAVAILABLE"
    assert b"started" in late.status.trailing_metadata[0][1]
    assert visit.handled == 0
    assert bench.executor.last_arrival >= before


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"max_connection_age_s": 2.5}, [("grpc.max_connection_age_ms", 2500)]),
        (
            {"max_connection_age_s": 600.0, "max_connection_age_grace_s": 0.0},
            [("grpc.max_connection_age_ms", 600_000), ("grpc.max_connection_age_grace_ms", 0)],
        ),
    ],
)
def test_the_age_of_connections_is_told_in_milliseconds(given, options):
    assert _ages(GrpcSettings(**given)) == options
