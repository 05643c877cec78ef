"""From when until when certificates are valid, of which neither ``ssl`` nor gRPC tells anything.

Both load what has expired, and say nothing; then every client refuses it.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

_CERTIFICATE = re.compile(
    r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
#: Tags of ASN.1: the version of a certificate, which may be left out, and its two kinds of time.
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18


class Validity:
    """One certificate of a file.

    Args:
        name: the file and, if there are several, which of them.
        begins: the first moment at which it is valid.
        ends: the last one.
    """

    def __init__(self, name: str, begins: datetime, ends: datetime) -> None:
        self.name = name
        self.begins = begins
        self.ends = ends

    def fault(self, now: float) -> str | None:
        """Why nobody accepts it; None: nothing is known against it.

        Args:
            now: as ``time.time()`` has it.
        """
        if self.ends.timestamp() < now:
            return f"{self.name} has expired: it was valid until {_show(self.ends)}"
        if now < self.begins.timestamp():
            return f"{self.name} is not valid yet: it will be from {_show(self.begins)}"
        return None


def validities(path: str, pem: bytes) -> list[Validity]:
    """The certificates of a file, in their order, without those that cannot be read.

    Args:
        path: its name.
        pem: what is in it.
    """
    texts = _CERTIFICATE.findall(pem.decode("latin-1"))
    found = []
    for number, text in enumerate(texts, 1):
        name = path if len(texts) == 1 else f"certificate {number} of {len(texts)} in {path}"
        try:
            der = ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}{text}{ssl.PEM_FOOTER}")
            begins, ends = _read(der)
        except (ValueError, IndexError):
            continue  # whether it is a certificate is not the question here
        found.append(Validity(f"the certificate {path}" if name == path else name, begins, ends))
    return found


def _read(der: bytes) -> tuple[datetime, datetime]:
    """The validity of a certificate (RFC 5280, section 4.1). Raises ``ValueError``, ``IndexError``."""
    _, at, _ = _element(der, 0)  # the certificate
    _, at, _ = _element(der, at)  # what of it is signed
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        at = end
    for _ in range(3):  # serial number, algorithm, issuer
        _, _, at = _element(der, at)
    _, at, _ = _element(der, at)
    begins, at = _time(der, at)
    ends, _ = _time(der, at)
    return begins, ends


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, beginning and end of what stands there."""
    tag, size = der[at], der[at + 1]
    at += 2
    if size > 0x7F:
        width = size & 0x7F
        size = int.from_bytes(der[at : at + width], "big")
        at += width
    return tag, at, at + size


def _time(der: bytes, at: int) -> tuple[datetime, int]:
    tag, at, end = _element(der, at)
    text = der[at:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"the tag {tag} is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC), end


def _show(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
