"""Asks a process that serves gRPC about itself: the client's end of ``GetStacks`` and ``GetStats``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from ..._generated import bridge_pb2 as pb
from ...errors import CallError, UsageError
from .credentials import Token
from .settings import is_loopback

#: What gRPC says, and what that means to whoever asks.
_MEANINGS = {
    grpc.StatusCode.UNAVAILABLE: (
        "nobody answers there ({details}): is it the address of --host and --port, and does it take "
        "TLS (then --tls-ca FILE)?"
    ),
    grpc.StatusCode.UNAUTHENTICATED: (
        "the process asks for a token: --token-file FILE, with the file that it was started with"
    ),
    grpc.StatusCode.PERMISSION_DENIED: "{details}",
    grpc.StatusCode.UNIMPLEMENTED: "what serves there does not know {method}: is it a bridge from 0.2 on?",
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "no answer within {timeout_s:g} s: the process is stopped, or something in C keeps the "
        "interpreter (gdb or py-spy show it)"
    ),
}


@dataclass(frozen=True)
class Connection:
    """How to reach a process.

    ``address``: as gRPC names it, ``HOST:PORT`` or ``unix:PATH``. ``token_file``: holds the token of
    calls. ``tls_ca``: the authority of its certificate; ``tls_cert``, ``tls_key``: our own.
    ``insecure``: send the token in clear text to another machine all the same.
    """

    address: str
    token_file: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    insecure: bool = False

    def open(self) -> Any:
        """A ``grpc.Channel``. Raises ``UsageError`` if it may not, or a file cannot be read."""
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UsageError("--tls-cert and --tls-key belong together")
        if self.tls_ca or self.tls_cert:
            parts = [_read(path) for path in (self.tls_ca, self.tls_key, self.tls_cert)]
            return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(*parts))
        host = self.address.rpartition(":")[0].strip("[]")
        if self.token_file and not (
            self.insecure or self.address.startswith("unix:") or is_loopback(host)
        ):
            raise UsageError(
                f"the token would go to {host} in clear text: --tls-ca FILE encrypts it; --insecure "
                "sends it all the same"
            )
        return grpc.insecure_channel(self.address)


class Client:
    """A connection to a process, for one question after the other. Closed by ``with``.

    Args:
        connection: how to reach it.

    Raises:
        UsageError: A file cannot be used, or the token would be seen.
    """

    def __init__(self, connection: Connection) -> None:
        self._address = connection.address
        self._metadata = []
        if connection.token_file:
            self._metadata = [("authorization", f"Bearer {Token(connection.token_file).text}")]
        self._channel = connection.open()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def stacks(self, timeout_s: float) -> dict[str, Any]:
        """What ``$/stacks`` answers there.

        Args:
            timeout_s: how long that may take, in seconds.

        Raises:
            CallError: There was no answer; with the way out.
        """
        answer = self._ask("GetStacks", pb.GetStacksResponse.FromString, timeout_s)
        stacks: dict[str, Any] = _with_integers(MessageToDict(answer.stacks))
        return stacks

    def stats(self, timeout_s: float) -> dict[str, Any]:
        """What ``$/stats`` answers there; the keys of ``below_us`` are text. As ``stacks``."""
        answer = self._ask("GetStats", pb.GetStatsResponse.FromString, timeout_s)
        stats: dict[str, Any] = _with_integers(MessageToDict(answer.stats))
        return stats

    def _ask(self, method: str, read: Callable[[bytes], Any], timeout_s: float) -> Any:
        ask = self._channel.unary_unary(f"/bridge.v1.Bridge/{method}", response_deserializer=read)
        try:
            return ask(b"", metadata=self._metadata, timeout=timeout_s)
        except grpc.RpcError as error:
            refused: Any = error
            text = _MEANINGS.get(refused.code(), "{code}: {details}").format(
                code=refused.code().name,
                details=refused.details(),
                timeout_s=timeout_s,
                method=method,
            )
            raise CallError(f"{self._address}: {text}", code="unavailable") from None


def _with_integers(value: Any) -> Any:
    """The same as over stdio, where a number without a fraction is no double; seconds are."""
    if isinstance(value, dict):
        return {
            key: float(each) if key == "seconds" else _with_integers(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
