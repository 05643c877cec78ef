"""Where the gRPC server listens and who may call it: what the command line says, checked.

Nothing of ``grpc`` is imported here, so that a mistake is found before half a second of imports.
"""

from __future__ import annotations

from ...errors import UsageError


class GrpcSettings:
    """The options of ``--transport grpc``; the defaults are those of ``bridge --help``.

    ``host``: a name or address, or ``unix:PATH``. ``port``: 0 = any free one. The certificate
    files are PEM; ``tls_client_ca`` makes the server ask clients for a certificate.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 50051,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        tls_client_ca: str | None = None,
        insecure: bool = False,
        token_file: str | None = None,
        reflection: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.tls_cert = tls_cert
        self.tls_key = tls_key
        self.tls_client_ca = tls_client_ca
        self.insecure = insecure
        self.token_file = token_file
        self.reflection = reflection

    @property
    def is_unix(self) -> bool:
        return self.host.startswith("unix:")

    @property
    def address(self) -> str:
        """What gRPC is told to listen on."""
        if self.is_unix:
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def check(self) -> None:
        """Raise ``UsageError`` for what cannot be served, or not without saying so on purpose."""
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UsageError("--tls-cert and --tls-key belong together")
        if self.tls_client_ca and not self.tls_cert:
            raise UsageError("--tls-client-ca asks for --tls-cert and --tls-key")
        if not (self.tls_cert or self.insecure or self.is_unix or _is_loopback(self.host)):
            raise UsageError(
                f"--host {self.host} can be reached from other machines: add --tls-cert and "
                "--tls-key, or --insecure to serve it in clear text all the same"
            )
        from .credentials import Certificates, Token

        if self.tls_cert:
            Certificates(self)
        if self.token_file:
            Token(self.token_file)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
