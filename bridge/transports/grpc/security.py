"""Who gets in: the token of a call, the certificates of a connection, a socket of our own."""

from __future__ import annotations

import socket

import grpc
from grpc_health.v1 import health

from ...errors import CallError, UsageError
from .credentials import Certificates
from .status import CallStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .credentials import Token
    from .settings import GrpcSettings


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in who does not know the token, but health checks, which cannot send it.

    ``aside``: has a behavior run where no worker is needed.
    """

    def __init__(self, token: Token, aside: Callable[..., Any]) -> None:
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(aside(self._refuse))

    def intercept_service(self, go_on: Callable[[Any], Any], details: Any) -> Any:
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return go_on(details)
        if self._token.admits(details.invocation_metadata):
            return go_on(details)
        return self._refusal

    def _refuse(self, request: bytes, context: Any) -> None:
        error = CallError(
            'this call needs the metadata "authorization: Bearer TOKEN" with the token of '
            "--token-file",
            code="unauthenticated",
            started=False,
        )
        context.abort_with_status(CallStatus(error))


def check_socket(path: str) -> None:
    """Raise ``UsageError`` if somebody listens there: gRPC would take the socket file from them."""
    with socket.socket(socket.AF_UNIX) as other:
        try:
            other.connect(path)
        except OSError:
            return
    raise UsageError(f"cannot listen on {path}: somebody else does; name another socket")


def has_ipv6() -> bool:
    """Whether this machine has itself under an address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def credentials(settings: GrpcSettings) -> Any:
    """Of the server. They follow the files: asked for with every new connection."""
    certificates = Certificates(settings)

    def configuration() -> Any:
        key, chain, authority = certificates.load()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)

    def fetch() -> Any:
        if not certificates.changed():
            return None
        try:
            return configuration()
        except UsageError as error:
            from ...log import logger

            logger().error("the old certificate stays in use: %s", error)
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=bool(settings.tls_client_ca)
    )
