"""Health checks and reflection, whatever methods the installed packages have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("grpc_health")

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bridge.transports.grpc.behavior import mark
from bridge.transports.grpc.standard import Health
from tests.waiting import WAIT_S, wait_until

WORKERS, APART = "worker", "apart"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def threads() -> Iterator[dict[str, ThreadPoolExecutor]]:
    pools = {name: ThreadPoolExecutor(1, name) for name in (WORKERS, APART)}
    yield pools
    for pool in pools.values():
        pool.shutdown()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of the package with a method more, which it registers as it does the others."""

    def later(self: Any, request: Any, context: Any) -> Any:
        assert threading.current_thread().name.startswith(APART)
        return health_pb2.HealthCheckResponse(status=NOT_SERVING)

    def add(servicer: Any, server: grpc.Server) -> None:
        register(servicer, server)
        handler = grpc.unary_unary_rpc_method_handler(
            servicer.Later, response_serializer=health_pb2.HealthCheckResponse.SerializeToString
        )
        server.add_registered_method_handlers("grpc.health.v1.Later", {"Later": handler})

    register = health_pb2_grpc.add_HealthServicer_to_server
    monkeypatch.setattr(health_pb2_grpc.HealthServicer, "Later", later, raising=False)
    monkeypatch.setattr(health_pb2_grpc, "add_HealthServicer_to_server", add)


@pytest.fixture
def channel(threads: dict[str, ThreadPoolExecutor], release: None) -> Iterator[grpc.Channel]:
    """To a server whose one worker is busy until the test ends."""
    health = Health(
        lambda method, **marks: mark(method, **marks, experimental_thread_pool=threads[APART])
    )
    server = grpc.server(threads[WORKERS])
    health.add_to(server)
    health.set("", SERVING)
    health.set("a.Service", SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    done = threading.Event()
    threads[WORKERS].submit(done.wait)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    done.set()
    server.stop(None).wait()


def test_every_method_is_answered_while_the_workers_are_busy(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="a.Service")
    assert stub.Check(request, timeout=WAIT_S).status == SERVING
    watch = stub.Watch(request, timeout=WAIT_S)
    assert next(watch).status == SERVING
    watch.cancel()


def test_a_method_that_only_a_later_release_has_is_served(channel):
    call = channel.unary_unary(
        "/grpc.health.v1.Later/Later",
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    assert call(b"", timeout=WAIT_S).status == NOT_SERVING


@pytest.mark.skipif(
    not hasattr(health_pb2, "HealthListRequest"), reason="this release has no Health.List"
)
def test_the_list_has_every_service(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    statuses = stub.List(health_pb2.HealthListRequest(), timeout=WAIT_S).statuses
    assert {name: answer.status for name, answer in statuses.items()} == {
        "": SERVING,
        "a.Service": SERVING,
    }


class Context:
    """gRPC's, of a stream that does not end."""

    def add_callback(self, callback: Any) -> bool:
        return True

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise RuntimeError(code, details)


def watch(health: Health, send: Any, service: str = "") -> None:
    health.Watch(health_pb2.HealthCheckRequest(service=service), Context(), send)


def test_whoever_does_not_read_what_changes_holds_nobody_up() -> None:
    health, blocked, free = Health(), threading.Event(), threading.Event()
    seen: list[Any] = []

    def stuck(response: Any) -> None:
        blocked.set()
        assert free.wait(WAIT_S)

    health.set("", SERVING)
    watch(health, stuck)
    watch(health, seen.append)
    assert blocked.wait(WAIT_S)
    assert health.Check(health_pb2.HealthCheckRequest(), Context()).status == SERVING
    health.enter_graceful_shutdown()
    wait_until(lambda: [each.status for each in seen] == [SERVING, NOT_SERVING])
    free.set()


def test_names_that_there_are_not_are_not_remembered() -> None:
    health = Health()
    health.set("", SERVING)
    seen: list[Any] = []
    for number in range(50):
        watch(health, seen.append, f"service {number}")
    wait_until(lambda: len(seen) == 50)
    unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert {each.status for each in seen} == {unknown}
    assert len(health._send_response_callbacks) == 1


def test_more_watches_than_there_is_room_for_are_refused() -> None:
    health = Health()
    for _ in range(128):
        watch(health, lambda response: None)
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        watch(health, lambda response: None)
    health._watch_for_anybody(health_pb2.HealthCheckRequest(), Context(), lambda response: None)
