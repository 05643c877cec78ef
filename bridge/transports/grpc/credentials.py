"""Certificates and the token in files that are read again when one of them has changed.

Nothing of ``grpc`` is imported here; see ``settings.py``.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterable, Sequence

from ...errors import UsageError
from .validity import Validity, validities


class WatchedFiles:
    """Files whose changes are noticed when somebody asks. For one thread at a time.

    Args:
        paths: those of the files.

    Raises:
        UsageError: one of them cannot be found.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._marks = self._look()

    def changed(self) -> bool:
        """Whether they have changed since the last time. What is being replaced has not yet."""
        try:
            marks = self._look()
        except UsageError:
            return False
        if marks == self._marks:
            return False
        self._marks = marks
        return True

    def _look(self) -> list[tuple[int, int, int]]:
        marks = []
        for path in self._paths:
            try:
                found = os.stat(path)
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from None
            marks.append((found.st_mtime_ns, found.st_ino, found.st_size))
        return marks


class Certificates:
    """The server's certificate and key, and the authority of its clients. For one thread at a time.

    Args:
        cert: the file of the certificate chain, PEM.
        key: the file of its key, PEM, without a password.
        client_ca: the file of the authority of clients, PEM; None: they need no certificate.

    Raises:
        UsageError: a file cannot be read, they do not belong together, or one of them is not valid
            now, so that nobody would accept it.
    """

    def __init__(self, cert: str, key: str, client_ca: str | None = None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._files = WatchedFiles([path for path in (cert, key, client_ca) if path])
        self._waits = False
        self._chain: list[Validity] = []
        #: What is wrong with some of the authorities that were loaded last, in words.
        self.doubts: list[str] = []
        self.load()

    @property
    def asks_clients(self) -> bool:
        """Whether clients need a certificate, too."""
        return self._client_ca is not None

    def changed(self) -> bool:
        """Whether there is something new to load: files have changed, or have become valid."""
        return self._files.changed() or self._waits

    def expired(self) -> str | None:
        """What is wrong by now with what was loaded last, in words; None: nothing."""
        now = time.time()
        return next((fault for one in self._chain if (fault := one.fault(now))), None)

    def load(self) -> tuple[bytes, bytes, bytes | None]:
        """Read the files, and check that they are usable.

        Returns:
            Key, certificate chain and client authority, as PEM.

        Raises:
            UsageError: they are not. What was loaded before is what ``expired`` speaks of.
        """
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
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (ssl.SSLError, OSError) as error:
                raise UsageError(f"{self._client_ca} is no list of certificates: {error}") from None
            authority = _read(self._client_ca)
        chain = _read(self._cert)
        self._check_validity(chain, authority or b"")
        return _read(self._key), chain, authority

    def _check_validity(self, chain: bytes, authorities: bytes) -> None:
        """Raise ``UsageError`` if clients, or the server, would refuse every connection by now."""
        now = time.time()
        self._waits = True  # the same files may be valid later
        of_server = validities(self._cert, chain)
        for fault in (one.fault(now) for one in of_server):
            if fault is not None:
                raise UsageError(f"{fault}; clients refuse it")
        of_clients = validities(self._client_ca or "", authorities)
        faults = [fault for one in of_clients if (fault := one.fault(now))]
        if faults and len(faults) == len(of_clients):
            raise UsageError(f"{faults[0]}; no client could be admitted")
        # next to its successor an old one is no mistake
        self.doubts = [f"{fault}; its clients are refused" for fault in faults]
        self._chain = of_server
        self._waits = False


class Token:
    """The secret that callers must know. For one thread at a time.

    Args:
        path: the file that holds it.

    Raises:
        UsageError: it holds none.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = WatchedFiles([path])
        self._expected = self._load()

    @property
    def text(self) -> str:
        """The token itself, for whoever shows it."""
        return self._expected.decode()

    def admits(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """Whether the token is among a call's metadata. Takes the same time for all that are wrong."""
        if self._files.changed():
            try:
                self._expected = self._load()
            except UsageError:
                pass  # just being written: until then the old one holds
        given = next((value for key, value in metadata if key == "authorization"), "")
        scheme, _, token = str(given).partition(" ")
        proof = token.encode(errors="replace") if scheme.lower() == "bearer" else b""
        return hmac.compare_digest(proof, self._expected)

    def _load(self) -> bytes:
        token = _read(self._path).strip()
        if not token or not token.isascii() or len(token.split()) > 1:
            raise UsageError(f"{self._path} must hold one token, ASCII text without spaces")
        return token


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
