"""Requests that begin and do not go on: whoever sends them takes nothing from others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

pytest.importorskip("grpc")

import grpc
from grpc_health.v1 import health_pb2

from tests.processes import Processes, Shared, put_away
from tests.waiting import WAIT_S, wait_until

from .grpc_peer import SERVICE, GrpcPeer
from .test_conformance import ADAPTER

TOKEN = "correct-horse-battery-staple"
SERVING = health_pb2.HealthCheckResponse.SERVING
HEALTH = "/grpc.health.v1.Health"
#: More than there are places of any kind.
MANY = 300


@pytest.fixture
def start() -> Iterator[Callable[..., GrpcPeer]]:
    peers: list[GrpcPeer] = []

    def start(*arguments: object, **options: Any) -> GrpcPeer:
        peers.append(GrpcPeer(*ADAPTER, *map(str, arguments), **options))
        return peers[-1]

    yield start
    for peer in peers:
        put_away(peer)


@pytest.fixture(scope="module")
def bridges(processes: Processes) -> Iterator[Shared[GrpcPeer]]:
    metadata = [("authorization", f"Bearer {TOKEN}")]
    start = partial(GrpcPeer, *ADAPTER, metadata=metadata)
    with Shared(processes, start, lambda peer: None) as bridges:
        yield bridges


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN)
    return str(path)


@pytest.fixture
def guarded(
    bridges: Shared[GrpcPeer], token_file: str, request: pytest.FixtureRequest
) -> Iterator[GrpcPeer]:
    """A bridge with one worker, and a client that has the token."""
    arguments = ("--token-file", token_file, "--max-workers", "1", "--reflection")
    with bridges.lend(request, *arguments) as peer:
        yield peer


@contextmanager
def half_open(
    peer: GrpcPeer, method: str, count: int, metadata: list[tuple[str, str]] | None = None
) -> Iterator[list[Any]]:
    """So many requests that send their headers, over a connection of their own, and nothing more."""
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait()
        yield b""

    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(peer.address, options) as channel:
        begin = channel.stream_unary(method)
        pending = [begin.future(nothing(), metadata=metadata) for _ in range(count)]
        try:
            yield pending
        finally:
            for each in pending:
                each.cancel()
            never.set()


def code_of(rpc: Any) -> Any:
    """How a request has ended that has not sent anything."""
    return rpc.exception(WAIT_S).code()


def code_of_those_that_had_to_go(pending: list[Any]) -> Any:
    wait_until(lambda: any(rpc.done() for rpc in pending), "a refusal")
    (code,) = {rpc.code() for rpc in pending if rpc.done()}
    return code


def assert_all_is_well(peer: GrpcPeer) -> None:
    """Every kind of request is answered."""
    assert peer.call("echo", ["hello"]) == "hello"
    assert peer.call("$/stats")["tools"]
    assert peer.call("$/tools")
    for service in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=service)
        assert peer.checks.Check(request, timeout=WAIT_S).status == SERVING
    watch = peer.checks.Watch(
        health_pb2.HealthCheckRequest(), timeout=WAIT_S, metadata=peer.metadata
    )
    assert next(watch).status == SERVING
    watch.cancel()


@pytest.mark.parametrize("method", ["Call", "CallStream", "ListTools", "GetStats", "NoSuchMethod"])
def test_who_has_no_token_is_refused_when_the_headers_are_here(guarded, method):
    with half_open(guarded, f"/{SERVICE}/{method}", MANY) as pending:
        assert {code_of(rpc) for rpc in pending} == {grpc.StatusCode.UNAUTHENTICATED}
        assert_all_is_well(guarded)


def test_half_open_checks_and_watches_of_others_take_no_room(guarded):
    with (
        half_open(guarded, f"{HEALTH}/Check", MANY) as checks,
        half_open(guarded, f"{HEALTH}/Watch", MANY),
        GrpcPeer(attach=guarded.ready["grpc_port"]) as stranger,
    ):
        watches = [
            stranger.checks.Watch(health_pb2.HealthCheckRequest(service=f"no {number}"))
            for number in range(MANY)
        ]
        assert code_of_those_that_had_to_go(checks) is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as caught:
            [next(watch) for watch in watches]
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert_all_is_well(guarded)


def test_half_open_reflection_leaves_the_rest_alone(guarded):
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with half_open(guarded, method, MANY, guarded.metadata) as pending:
        assert code_of_those_that_had_to_go(pending) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert_all_is_well(guarded)


@pytest.mark.parametrize("workers", [1, 4])
def test_half_open_calls_of_those_who_may_call_take_no_worker_and_no_thread(start, workers):
    peer = start("--max-workers", workers)
    assert_all_is_well(peer)
    with (
        half_open(peer, f"/{SERVICE}/Call", MANY) as calls,
        half_open(peer, f"/{SERVICE}/CallStream", MANY),
        half_open(peer, f"/{SERVICE}/ListTools", MANY) as lists,
    ):
        for pending in calls, lists:
            assert code_of_those_that_had_to_go(pending) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert_all_is_well(peer)
        threads = len(os.listdir(f"/proc/{peer.process.pid}/task"))
        assert threads < 150  # 600 wait
    assert_all_is_well(peer)


def test_a_message_that_comes_late_is_answered(start):
    peer = start("--max-workers", 1)
    late = threading.Event()

    def later() -> Iterator[bytes]:
        late.wait()
        yield b"\x0a\x0cthread_count"

    with grpc.insecure_channel(peer.address) as channel:
        call = channel.stream_unary(f"/{SERVICE}/Call").future(later())
        with half_open(peer, f"/{SERVICE}/Call", 20):
            for number in range(20):
                assert peer.call("echo", [number]) == number
            late.set()
            assert call.result(WAIT_S)


def test_a_request_without_a_message_is_told_so(start):
    peer = start()
    with grpc.insecure_channel(peer.address) as channel:
        for method in ("Call", "ListTools"):
            rpc = channel.stream_unary(f"/{SERVICE}/{method}").future(iter(()))
            assert code_of(rpc) is grpc.StatusCode.UNIMPLEMENTED
            assert "exactly one" in rpc.details()
    assert_all_is_well(peer)
