"""The options of gRPC: rows of the table and their values, and which of them belong together.

Nothing of ``grpc`` is imported here, so that a mistake is found before half a second of imports.
"""

from __future__ import annotations

from ...errors import UsageError
from ...options import Group, Options, SecondsOrOff, Switch, Text, WholeNumber, option

_PEM = Text("FILE", "the path of a PEM file")
GRPC = Group("gRPC", "Where --transport grpc listens. Files are read again when they change.")


class GrpcSettings(Options):
    """Where the gRPC server listens, and who may call it."""

    host: str = option(
        "--host",
        Text("HOST", "a name, an address, or unix:PATH"),
        "Where to listen: a name or an address of this machine, or a socket file.",
        group=GRPC,
        default="127.0.0.1",
    )
    port: int = option(
        "--port",
        WholeNumber(0, 65535),
        "Where to listen; 0 takes a port that is free. It is printed as GRPC_READY:PORT.",
        group=GRPC,
        default=50051,
    )
    ready_file: str | None = option(
        "--ready-file",
        Text("FILE", "the path of a file"),
        "Write the port there once it serves.",
        group=GRPC,
        default=None,
    )
    tls_cert: str | None = option(
        "--tls-cert",
        _PEM,
        "The certificate chain of the server.",
        group=GRPC,
        default=None,
    )
    tls_key: str | None = option(
        "--tls-key",
        _PEM,
        "The private key of --tls-cert.",
        group=GRPC,
        default=None,
    )
    tls_client_ca: str | None = option(
        "--tls-client-ca",
        _PEM,
        "Admit only clients with a certificate of one of these authorities.",
        group=GRPC,
        default=None,
    )
    insecure: bool = option(
        "--insecure",
        Switch(),
        "Listen in clear text where other machines can reach it.",
        group=GRPC,
        default=False,
    )
    token_file: str | None = option(
        "--token-file",
        Text("FILE", "the path of a file"),
        'Calls must carry "authorization: Bearer TOKEN" with the token of this file.',
        group=GRPC,
        default=None,
    )
    reflection: bool = option(
        "--reflection",
        Switch(),
        "Let clients ask for the definition of the service.",
        group=GRPC,
        default=False,
    )

    max_connection_age_s: float | None = option(
        "--max-connection-age",
        SecondsOrOff(),
        "Ask clients to connect anew after so long, a tenth more or less, so that calls spread over "
        "replicas that have come meanwhile.",
        group=GRPC,
        default=None,
    )
    max_connection_age_grace_s: float | None = option(
        "--max-connection-age-grace",
        SecondsOrOff(),
        "How long calls may go on then, before the connection is closed under them; off: as long as "
        "they take.",
        group=GRPC,
        default=None,
    )

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
        """Look whether this can be served, and has been said on purpose; reads the files.

        Raises:
            UsageError: If options contradict each other, a file is missing or not what it should
                be, or other machines could call in clear text without ``insecure``.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UsageError("--tls-cert and --tls-key belong together")
        if self.tls_client_ca and not self.tls_cert:
            raise UsageError("--tls-client-ca asks for --tls-cert and --tls-key")
        if not (self.tls_cert or self.insecure or self.is_unix or is_loopback(self.host)):
            raise UsageError(
                f"--host {self.host} can be reached from other machines: add --tls-cert and "
                "--tls-key, or --insecure to serve it in clear text all the same"
            )
        if self.max_connection_age_s is not None and self.max_connection_age_s < 1:
            raise UsageError("--max-connection-age must be 1 second or more, or off")
        if self.max_connection_age_grace_s is not None and self.max_connection_age_s is None:
            raise UsageError("--max-connection-age-grace asks for --max-connection-age")
        from .credentials import Certificates, Token

        if self.tls_cert and self.tls_key:
            Certificates(self.tls_cert, self.tls_key, self.tls_client_ca)
        if self.token_file:
            Token(self.token_file)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
