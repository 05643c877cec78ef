"""Who gets in: the token of a call, and the certificates of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health

from ...errors import CallError, UsageError
from .behavior import Place, mark
from .credentials import Certificates, Token
from .status import CallStatus


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in who does not know the token, but health checks, which cannot send it.

    Who does not know it is refused when the headers are here, and health checks take no room from others.

    Args:
        token: what a call's metadata must hold.
    """

    def __init__(self, token: Token) -> None:
        self._token = token
        error = CallError(
            'this call needs the metadata "authorization: Bearer TOKEN" with the token of '
            "--token-file",
            code="unauthenticated",
            started=False,
        )
        self._status = CallStatus(error)
        # for a stream of requests gRPC does not wait for the first
        refuse = mark(self._refuse, place=Place.AT_ONCE)
        self._refusal = grpc.stream_unary_rpc_method_handler(refuse)

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """The handler of a request, or the one that refuses it. On gRPC's serving thread."""
        details = handler_call_details
        if self._token.admits(details.invocation_metadata):
            return continuation(details)
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            handler = continuation(details)
            return None if handler is None else _open(handler)
        return self._refusal

    def _refuse(self, requests: object, context: Any) -> None:
        context.abort_with_status(self._status)


def _open(handler: Any) -> Any:
    """The handler of a health check whose caller has shown no token."""
    behavior = handler.unary_stream if handler.response_streaming else handler.unary_unary
    marks = {**vars(behavior), "place": Place.OPEN}
    open_behavior = mark(marks.get("for_anybody", behavior), **marks)
    make = (
        grpc.unary_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make(open_behavior, handler.request_deserializer, handler.response_serializer)


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
