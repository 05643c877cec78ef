"""Who may call over gRPC: TLS, client certificates, tokens, and their rotation."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2

from bridge._generated import bridge_pb2 as pb
from bridge.errors import CallError
from tests.processes import put_away
from tests.waiting import WAIT_S, wait_until

from .conformance_tools import Meeting
from .grpc_peer import SERVICE, GrpcPeer, details_of
from .test_conformance import ADAPTER

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")
TOKEN = "correct-horse-battery-staple"
SERVING = health_pb2.HealthCheckResponse.SERVING


class Identity:
    """A private key and a certificate, in files."""

    def __init__(self, directory: Path, name: str) -> None:
        self.key = directory / f"{name}.key"
        self.cert = directory / f"{name}.pem"

    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())


class Authority:
    """Makes certificates for ``localhost``, with the program ``openssl``; nothing is checked in."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._ca = Identity(directory, name)
        self._openssl(
            "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1",
            *("-subj", f"/CN={name}", "-keyout", str(self._ca.key), "-out", str(self._ca.cert)),
        )

    @property
    def cert(self) -> Path:
        return self._ca.cert

    def issue(self, name: str) -> Identity:
        made = Identity(self._directory, f"{self._name}-{name}")
        request, extensions = made.cert.with_suffix(".csr"), made.cert.with_suffix(".ext")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._openssl(
            "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1",
            *("-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(request)),
        )
        self._openssl(
            "x509 -req -days 2 -CAcreateserial",
            *("-in", str(request), "-CA", str(self._ca.cert), "-CAkey", str(self._ca.key)),
            *("-extfile", str(extensions), "-out", str(made.cert)),
        )
        return made

    @staticmethod
    def _openssl(words: str, *arguments: str) -> None:
        assert OPENSSL is not None
        subprocess.run([OPENSSL, *words.split(), *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "theirs")


@pytest.fixture(scope="session")
def first(authority: Authority) -> Identity:
    return authority.issue("first")


@pytest.fixture(scope="session")
def second(authority: Authority) -> Identity:
    return authority.issue("second")


@pytest.fixture
def start() -> Iterator[Callable[..., GrpcPeer]]:
    """Starts gRPC bridges that end in their test."""
    peers: list[GrpcPeer] = []

    def start(*arguments: object, **options: Any) -> GrpcPeer:
        peers.append(GrpcPeer(*ADAPTER, *map(str, arguments), **options))
        return peers[-1]

    yield start
    for peer in peers:
        put_away(peer)


def trusting(authority: Authority, identity: Identity | None = None) -> grpc.ChannelCredentials:
    """The credentials of a client; with an ``identity`` it shows a certificate."""
    if identity is None:
        return grpc.ssl_channel_credentials(authority.cert.read_bytes())
    return grpc.ssl_channel_credentials(
        authority.cert.read_bytes(), identity.key.read_bytes(), identity.cert.read_bytes()
    )


def tls(identity: Identity) -> tuple[str, ...]:
    return ("--tls-cert", str(identity.cert), "--tls-key", str(identity.key))


def call_as(peer: GrpcPeer, credentials: grpc.ChannelCredentials | None) -> Any:
    """A call over a connection of its own. Raises the ``CallError`` that it ended with."""
    with GrpcPeer(attach=peer.ready["grpc_port"], credentials=credentials) as other:
        return other.call("echo", ["hello"])


def refusal(peer: GrpcPeer, credentials: grpc.ChannelCredentials | None) -> str:
    with pytest.raises(CallError) as caught:
        call_as(peer, credentials)
    return caught.value.code


def shown_certificate(peer: GrpcPeer) -> bytes:
    """What a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    address = ("127.0.0.1", peer.ready["grpc_port"])
    with (
        socket.create_connection(address, timeout=WAIT_S) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


def install(source: Path, target: Path) -> None:
    """Replace a file as one should: nobody sees half of it."""
    unfinished = target.with_suffix(".new")
    shutil.copyfile(source, unfinished)
    os.replace(unfinished, target)


@pytest.fixture
def installed(tmp_path: Path, first: Identity) -> Identity:
    """The first certificate and its key, in files that may be changed."""
    identity = Identity(tmp_path, "installed")
    install(first.cert, identity.cert)
    install(first.key, identity.key)
    return identity


# -- TLS ------------------------------------------------------------------------------------


@needs_openssl
def test_a_client_that_trusts_the_authority_calls_and_others_do_not(
    start, authority, stranger, first
):
    peer = start("--host", "0.0.0.0", *tls(first), credentials=trusting(authority))
    assert peer.call("echo", ["hello"]) == "hello"
    msgid = peer.request("count", [3], stream={"items": 9, "bytes": 0})
    assert peer.result(msgid) == "counted"
    assert shown_certificate(peer) == first.der()
    assert refusal(peer, trusting(stranger)) == "unavailable"
    assert refusal(peer, None) == "unavailable", "a client in clear text was served"
    assert peer.call("echo", ["still there"]) == "still there"


@needs_openssl
def test_with_a_client_authority_only_its_clients_are_admitted(start, authority, stranger, first):
    mine, foreign = authority.issue("client"), stranger.issue("client")
    peer = start(
        *tls(first),
        "--tls-client-ca",
        authority.cert,
        credentials=trusting(authority, mine),
    )
    assert peer.call("echo", ["hello"]) == "hello"
    assert refusal(peer, trusting(authority, foreign)) == "unavailable"
    assert refusal(peer, trusting(authority)) == "unavailable", "no certificate was enough"
    assert refusal(peer, None) == "unavailable"
    assert peer.call("$/stats")["tools"]["echo"]["calls"] == 1
    with grpc.secure_channel(peer.address, trusting(authority)) as channel:
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.RpcError):
            health(b"", timeout=WAIT_S)


@needs_openssl
def test_the_authority_of_the_clients_is_replaced_while_it_serves(
    start, tmp_path, authority, stranger, first
):
    mine, theirs = authority.issue("client"), stranger.issue("client")
    admitted = tmp_path / "clients.pem"
    install(authority.cert, admitted)
    credentials = trusting(authority, mine)
    peer = start(*tls(first), "--tls-client-ca", admitted, credentials=credentials)
    assert peer.call("echo", [1]) == 1
    install(stranger.cert, admitted)
    assert call_as(peer, trusting(authority, theirs)) == "hello"
    assert refusal(peer, credentials) == "unavailable"
    assert peer.call("echo", ["a connection that exists goes on"])


@needs_openssl
def test_new_connections_see_a_new_certificate_and_old_ones_go_on(
    start, authority, first, second, installed
):
    peer = start(*tls(installed), credentials=trusting(authority))
    assert peer.call("echo", [1]) == 1
    assert shown_certificate(peer) == first.der()
    install(second.cert, installed.cert)
    install(second.key, installed.key)
    assert shown_certificate(peer) == second.der()
    assert shown_certificate(peer) == second.der()
    assert call_as(peer, trusting(authority)) == "hello"
    assert peer.call("echo", ["old connection"]) == "old connection"
    assert peer.stderr == ""


@needs_openssl
def test_a_broken_new_certificate_leaves_the_old_one_in_use_and_is_logged(
    start, authority, first, second, installed
):
    peer = start(*tls(installed), credentials=trusting(authority))
    assert shown_certificate(peer) == first.der()
    installed.cert.write_text("-----BEGIN CERTIFICATE-----\nnonsense")
    assert shown_certificate(peer) == first.der()
    wait_until(lambda: str(installed.cert) in peer.stderr, "a line in the log")
    assert "the old certificate stays in use" in peer.stderr
    assert call_as(peer, trusting(authority)) == "hello"
    install(second.cert, installed.cert)  # its key is still the old one
    assert shown_certificate(peer) == first.der()
    install(second.key, installed.key)
    assert shown_certificate(peer) == second.der()


@needs_openssl
def test_a_certificate_that_is_missing_for_a_moment_leaves_the_old_one_in_use(
    start, authority, first, second, installed
):
    peer = start(*tls(installed), credentials=trusting(authority))
    installed.cert.unlink()
    assert shown_certificate(peer) == first.der()
    install(second.key, installed.key)
    install(second.cert, installed.cert)
    assert shown_certificate(peer) == second.der()


@needs_openssl
def test_a_key_of_another_certificate_is_refused_at_the_start(start, first, second):
    arguments = ("--tls-cert", first.cert, "--tls-key", second.key)
    peer = start(*arguments, wait_until_ready=False)
    assert peer.wait() == 1
    assert str(first.cert) in peer.stderr
    assert str(second.key) in peer.stderr
    assert "Traceback" not in peer.stderr


@needs_openssl
@pytest.mark.parametrize("missing", ["cert", "key", "client"])
def test_a_file_that_is_missing_is_named_at_the_start(start, tmp_path, authority, first, missing):
    files = {"cert": first.cert, "key": first.key, "client": authority.cert}
    files[missing] = tmp_path / "missing.pem"
    peer = start(
        *("--tls-cert", files["cert"], "--tls-key", files["key"]),
        *("--tls-client-ca", files["client"]),
        wait_until_ready=False,
    )
    assert peer.wait() == 1
    assert f"cannot read {files[missing]}" in peer.stderr
    assert "Traceback" not in peer.stderr


@needs_openssl
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-cert"], "--tls-cert and --tls-key belong together"),
        (["--tls-key"], "--tls-cert and --tls-key belong together"),
        (["--tls-client-ca"], "--tls-client-ca asks for --tls-cert and --tls-key"),
    ],
)
def test_half_of_the_tls_options_are_refused_at_the_start(start, first, options, words):
    files = {"--tls-cert": first.cert, "--tls-key": first.key, "--tls-client-ca": first.cert}
    arguments = [part for option in options for part in (option, files[option])]
    peer = start(*arguments, wait_until_ready=False)
    assert peer.wait() == 1
    assert words in peer.stderr


# -- tokens ---------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def call_with(peer: GrpcPeer, metadata: list[tuple[str, str]]) -> Any:
    """A call over a connection of its own, with this metadata."""
    with GrpcPeer(attach=peer.ready["grpc_port"], metadata=metadata) as other:
        return other.call("echo", ["hello"])


def assert_refused(peer: GrpcPeer, metadata: list[tuple[str, str]]) -> None:
    with pytest.raises(CallError, match="authorization: Bearer TOKEN") as caught:
        call_with(peer, metadata)
    error = caught.value
    assert (error.code, error.started) == ("unauthenticated", False), metadata
    assert details_of(error)["ErrorInfo"].reason == "UNAUTHENTICATED"
    assert TOKEN not in error.message


def test_only_calls_with_the_token_are_served(start, token_file):
    peer = start("--token-file", token_file, metadata=bearer(TOKEN))
    assert peer.call("echo", ["hello"]) == "hello"
    msgid = peer.request("count", [3], stream={"items": 9, "bytes": 0})
    assert peer.result(msgid) == "counted"
    assert call_with(peer, [("authorization", f"bearer {TOKEN}")]) == "hello", "no case"
    for metadata in (
        [],
        bearer(""),
        bearer("wrong"),
        bearer(TOKEN[:-1]),
        bearer(f"{TOKEN}x"),
        bearer(TOKEN.upper()),
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [("x-authorization", f"Bearer {TOKEN}")],
    ):
        assert_refused(peer, metadata)
    assert peer.call("$/stats")["tools"]["echo"]["calls"] == 2


def test_everything_but_health_needs_the_token(start, token_file):
    peer = start("--token-file", token_file, "--reflection", metadata=bearer(TOKEN))
    with grpc.insecure_channel(peer.address) as channel:
        for method in ("Call", "ListTools", "GetStats", "GetStacks"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{SERVICE}/{method}")(b"", timeout=WAIT_S)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.unary_stream(f"/{SERVICE}/CallStream")(b"", timeout=WAIT_S))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(reflect(iter([b"\x3a\x00"]), timeout=WAIT_S))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with GrpcPeer(attach=peer.ready["grpc_port"]) as other:
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        assert other.checks.Check(request, timeout=WAIT_S).status == SERVING
        watch = other.checks.Watch(request, timeout=WAIT_S)
        assert next(watch).status == SERVING
        watch.cancel()
    assert len(peer.call("$/tools")) > 20


def test_who_has_no_token_is_told_so_while_every_worker_is_busy(start, token_file):
    arguments = ("--token-file", token_file, "--max-workers", 1, "--max-queue", 0)
    peer = start(*arguments, metadata=bearer(TOKEN))
    meeting = Meeting()
    msgid = peer.request("meet", [meeting.port, "a"])
    visitor = meeting.visitor("a")
    assert_refused(peer, [])
    assert_refused(peer, bearer("wrong"))
    ask = peer.unary("GetStacks", pb.GetStacksResponse)
    response = ask(b"", timeout=WAIT_S, metadata=bearer(TOKEN))
    threads = json_format.MessageToDict(response.stacks)["threads"]
    (thread,) = (thread for thread in threads if thread["tool"])
    assert (thread["tool"], thread["abandoned"]) == ("meet", False)
    assert thread["stack"][0]["function"].endswith("meet")
    visitor.go("done")
    assert peer.result(msgid) == "done"
    meeting.close()


def test_the_token_is_not_shown_to_tools(start, token_file):
    peer = start("--token-file", token_file, metadata=bearer(TOKEN))
    assert peer.call("facts")["metadata"] == []


def test_a_new_token_replaces_the_old_one_while_it_serves(start, token_file):
    peer = start("--token-file", token_file, metadata=bearer(TOKEN))
    assert peer.call("echo", [1]) == 1
    (token_file.parent / "next").write_text("another-one")
    os.replace(token_file.parent / "next", token_file)
    assert call_with(peer, bearer("another-one")) == "hello"
    assert_refused(peer, bearer(TOKEN))
    token_file.write_text("")  # just being written
    assert call_with(peer, bearer("another-one")) == "hello"
    assert_refused(peer, bearer(""))
    token_file.unlink()
    assert call_with(peer, bearer("another-one")) == "hello"
    token_file.write_text(TOKEN)
    assert call_with(peer, bearer(TOKEN)) == "hello"
    assert_refused(peer, bearer("another-one"))


@pytest.mark.parametrize("content", [None, "", " \n", "two words", "tökén"])
def test_a_token_file_without_one_token_is_refused_at_the_start(start, tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    peer = start("--token-file", path, wait_until_ready=False)
    assert peer.wait() == 1
    assert str(path) in peer.stderr
    assert "Traceback" not in peer.stderr


@needs_openssl
def test_a_token_goes_with_tls(start, authority, first, token_file):
    peer = start(
        *tls(first),
        *("--token-file", token_file),
        credentials=trusting(authority),
        metadata=bearer(TOKEN),
    )
    assert peer.call("echo", ["hello"]) == "hello"
    call = peer.unary("Call", pb.CallResponse)
    with pytest.raises(grpc.RpcError) as caught:
        call(pb.CallRequest(tool="echo"), timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
