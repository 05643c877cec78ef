"""Who gets in: the token of a call, and the certificates of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health

from ...errors import CallError, UsageError
from .credentials import Certificates, Token
from .status import CallStatus


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in who does not know the token, but health checks, which cannot send it.

    Args:
        token: what a call's metadata must hold.
        aside: has a behavior run where no worker is needed.
    """

    def __init__(
        self, token: Token, aside: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(aside(self._refuse))

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """The handler of a request, or the one that refuses it. On gRPC's serving thread."""
        details = handler_call_details
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return continuation(details)
        if self._token.admits(details.invocation_metadata):
            return continuation(details)
        return self._refusal

    def _refuse(self, request: bytes, context: Any) -> None:
        error = CallError(
            'this call needs the metadata "authorization: Bearer TOKEN" with the token of '
            "--token-file",
            code="unauthenticated",
            started=False,
        )
        context.abort_with_status(CallStatus(error))


def server_credentials(certificates: Certificates) -> Any:
    """A ``grpc.ServerCredentials``.

    They follow the files: gRPC asks for them with every new connection, on a thread of its own.
    """

    told = ""

    def tell(what: str) -> None:
        nonlocal told
        if what != told:  # once, not with every connection
            from ...log import logger

            logger().error("%s", what)
            told = what

    def configuration() -> Any:
        nonlocal told
        key, chain, authority = certificates.load()
        told = ""
        for doubt in certificates.doubts:
            tell(doubt)
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)

    def fetch() -> Any:
        if certificates.changed():
            try:
                return configuration()
            except UsageError as error:
                tell(f"the old certificate stays in use: {error}")
        elif (fault := certificates.expired()) is not None:
            tell(f"{fault}; clients refuse it until it is replaced")
        return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=certificates.asks_clients
    )
