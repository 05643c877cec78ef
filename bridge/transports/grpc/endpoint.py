"""Where the server listens and who gets in, with everything read that this takes."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from ...errors import UsageError
from .credentials import Certificates, Token
from .security import Guard, server_credentials
from .settings import GrpcSettings

#: What to do about the errors of the system.
_WAYS_OUT = {
    errno.EADDRINUSE: ": something else listens there; --port 0 takes a free port",
    errno.EACCES: ": ports below 1024 are for privileged users; take another --port",
    errno.EPERM: ": ports below 1024 are for privileged users; take another --port",
    errno.EADDRNOTAVAIL: ": this machine has no such address; --host 0.0.0.0 is all that it has",
    errno.EAFNOSUPPORT: ": this machine has no addresses of this kind",
}
_SOCKET_WAYS_OUT = {
    errno.EADDRINUSE: ": there is a file of that name; remove it, or name another",
    errno.EACCES: ": this user may not write to that directory",
    errno.EPERM: ": this user may not write to that directory",
    errno.EROFS: ": name one in a directory that can be written to",
    errno.ENOENT: ": make its directory first",
    errno.ENOTDIR: ": a part of its path is no directory",
}
#: How many free ports are tried on both addresses of this machine.
_PORTS = 8


class Endpoint:
    """An address with its certificates and its token, ready to be listened on.

    Args:
        settings: what the command line says, checked.

    Raises:
        UsageError: a file cannot be read, or does not hold what it should.
    """

    def __init__(self, settings: GrpcSettings) -> None:
        #: What the command line says.
        self.settings = settings
        self._certificates: Certificates | None = None
        if settings.tls_cert and settings.tls_key:
            self._certificates = Certificates(
                settings.tls_cert, settings.tls_key, settings.tls_client_ca
            )
        self._token = Token(settings.token_file) if settings.token_file else None

    @property
    def is_guarded(self) -> bool:
        """Whether calls must carry a token."""
        return self._token is not None

    def guards(self) -> list[Guard]:
        """The interceptors of a ``grpc.Server`` that listens here."""
        return [] if self._token is None else [Guard(self._token)]

    def listen(self, server: Any) -> int | str:
        """Have a ``grpc.Server`` that is not started yet listen here.

        Returns:
            The port, or the address of a Unix socket.

        Raises:
            UsageError: the address cannot be had.
        """
        settings = self.settings
        if settings.is_unix:
            _check_socket(settings.host.removeprefix("unix:"))
        # a socket file belongs to this user alone
        umask = os.umask(0o077) if settings.is_unix else None
        try:
            if settings.host == "localhost":
                port = self._bind_both(server, settings.port)
            else:
                port = self._bind(server, settings.address)
        except RuntimeError as error:
            raise UsageError(
                f"cannot listen on {settings.address}: {_reason(settings, error)}"
            ) from None
        finally:
            if umask is not None:
                os.umask(umask)
        return settings.host if settings.is_unix else port

    def _bind_both(self, server: Any, wanted: int) -> int:
        """Take one port of both addresses that a client may find under ``localhost``.

        Which of them gRPC would take depends on its version and on the hosts file. Raises
        ``RuntimeError`` if the port is not free.
        """
        port = wanted
        for _ in range(_PORTS):
            port = self._bind(server, f"127.0.0.1:{wanted}")
            if not _has_ipv6():
                break
            try:
                self._bind(server, f"[::1]:{port}")
                break
            except RuntimeError:
                # of two free ports with one number, somebody has the other
                if wanted:
                    raise
        return port

    def _bind(self, server: Any, address: str) -> int:
        """Raises ``RuntimeError`` if the address cannot be had."""
        if self._certificates is None:
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, server_credentials(self._certificates))
        return port


def _reason(settings: GrpcSettings, refusal: RuntimeError) -> str:
    """Why an address cannot be had, which gRPC does not say: what the system says to another try."""
    try:
        if settings.is_unix:
            path = settings.host.removeprefix("unix:")
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(path)
                os.unlink(path)
        else:
            hosts = ("127.0.0.1", "::1") if settings.host == "localhost" else (settings.host,)
            for host in hosts:
                for family, kind, protocol, _, address in socket.getaddrinfo(
                    host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                ):
                    with socket.socket(family, kind, protocol) as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(address)
                        probe.listen()
    except socket.gaierror as error:
        return f"{settings.host} is no name and no address: {error.strerror}"
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None)
        way_out = _WAYS_OUT.get(code, "") if isinstance(code, int) else ""
        if settings.is_unix and code in _SOCKET_WAYS_OUT:
            way_out = _SOCKET_WAYS_OUT[code]
        return f"{getattr(error, 'strerror', None) or error}{way_out}"
    # it is free by now, or what is wrong is something else
    return f"{refusal}; try again"


def _has_ipv6() -> bool:
    """Whether this machine has itself under an address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _check_socket(path: str) -> None:
    """Raise ``UsageError`` if somebody listens there: gRPC would take the socket file from them."""
    with socket.socket(socket.AF_UNIX) as other:
        try:
            other.connect(path)
        except OSError:
            return
    raise UsageError(f"cannot listen on {path}: somebody else does; name another socket")
