"""Certificates and the token in files that are read again when one of them has changed."""

from __future__ import annotations

import hmac
import os

from ...errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .settings import GrpcSettings


class _Files:
    """Contents of files that are read again when one of them has changed."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._marks = self._look()

    def _look(self) -> list[tuple[int, int, int]]:
        marks = []
        for path in self._paths:
            try:
                found = os.stat(path)
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from None
            marks.append((found.st_mtime_ns, found.st_ino, found.st_size))
        return marks

    def changed(self) -> bool:
        """Have the files changed since the last time? What is in the middle of a change has not."""
        try:
            marks = self._look()
        except UsageError:
            return False
        if marks == self._marks:
            return False
        self._marks = marks
        return True

    def read(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None


class Certificates(_Files):
    """The server's certificate and key, and the authority of its clients.

    Raises ``UsageError`` if a file cannot be read, or if they do not belong together.
    """

    def __init__(self, settings: GrpcSettings) -> None:
        assert settings.tls_cert is not None
        assert settings.tls_key is not None
        self._cert, self._key = settings.tls_cert, settings.tls_key
        self._client_ca = settings.tls_client_ca
        super().__init__([path for path in (self._cert, self._key, self._client_ca) if path])
        self.load()

    def load(self) -> tuple[bytes, bytes, bytes | None]:
        """Key, certificate chain and client authority as PEM, after a check that they are usable."""
        import ssl  # gRPC's own complaint would come with the first connection

        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # a key with a password would make OpenSSL ask on the terminal
            context.load_cert_chain(self._cert, self._key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(
                f"{self._cert} and {self._key} are no certificate and its key: {error}"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot read {self._cert} or {self._key}: {error}") from None
        authority = None
        if self._client_ca:
            try:
                context.load_verify_locations(self._client_ca)
            except (ssl.SSLError, OSError) as error:
                raise UsageError(f"{self._client_ca} is no list of certificates: {error}") from None
            authority = self.read(self._client_ca)
        return self.read(self._key), self.read(self._cert), authority


class Token(_Files):
    """The secret that callers must know. Raises ``UsageError`` if the file holds none."""

    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__([path])
        self._expected = self._load()

    def admits(self, metadata: Any) -> bool:
        """Is the token among a call's metadata? Takes the same time for all that are wrong."""
        if self.changed():
            try:
                self._expected = self._load()
            except UsageError:
                pass  # just being written: until then the old one holds
        given = next((value for key, value in metadata if key == "authorization"), "")
        scheme, _, token = given.partition(" ")
        proof = token.encode(errors="replace") if scheme.lower() == "bearer" else b""
        return hmac.compare_digest(proof, self._expected)

    def _load(self) -> bytes:
        token = self.read(self._path).strip()
        if not token or not token.isascii() or len(token.split()) > 1:
            raise UsageError(f"{self._path} must hold one token, ASCII text without spaces")
        return token
