"""Certificates that nobody accepts now: refused at the start, not taken at a reload, and told."""

import base64
import logging
import os
import shutil
import ssl
import textwrap
import time
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("grpc")

import grpc

from bridge.errors import UsageError
from bridge.transports.grpc import security
from bridge.transports.grpc.credentials import Certificates
from bridge.transports.grpc.validity import validities

from .test_credentials import pems  # noqa: F401

DAY_S = 86400
NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO, SOON, LATER = NOW - timedelta(400), NOW + timedelta(100), NOW + timedelta(200)
VALID, EXPIRED, NOT_YET = (LONG_AGO, SOON), (LONG_AGO, NOW - timedelta(30)), (SOON, LATER)
FAULTS = {"has expired": EXPIRED, "is not valid yet": NOT_YET}


def dated(pem, begins, ends):
    """A certificate with another validity. Its own signature does not cover that; nobody looks here."""
    der = ssl.PEM_cert_to_DER_cert(pem.read_text())
    at = der.index(b"\x17\x0d")  # the first of two times
    times = b"".join(b"\x17\x0d" + f"{moment:%y%m%d%H%M%SZ}".encode() for moment in (begins, ends))
    return ssl.DER_cert_to_PEM_cert(der[:at] + times + der[at + len(times) :])


@pytest.fixture
def files(pems, tmp_path):  # noqa: F811
    """Paths of a certificate, its key and an authority, all valid, and what writes one anew."""

    class Files:
        cert, key, ca = (str(tmp_path / name) for name in ("cert.pem", "key.pem", "ca.pem"))

        def write(self, path, *validities, name="a"):
            with open(f"{path}.new", "w") as file:
                file.write("".join(dated(pems / f"{name}.pem", *each) for each in validities))
            os.replace(f"{path}.new", path)

        def load(self):
            return Certificates(self.cert, self.key, self.ca)

    files = Files()
    shutil.copy(pems / "a.key", files.key)
    files.write(files.cert, VALID)
    files.write(files.ca, VALID, name="b")
    return files


@pytest.fixture
def reload(files, monkeypatch):
    """What gRPC calls for each new connection: the new certificates, or None."""
    monkeypatch.setattr(
        grpc, "dynamic_ssl_server_credentials", lambda initial, fetch, **options: fetch
    )
    return security.server_credentials(files.load())


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- at the start -----------------------------------------------------------------------------


def test_what_is_valid_is_loaded(files):
    assert files.load().doubts == []


@pytest.mark.parametrize("words", FAULTS)
@pytest.mark.parametrize("which", ["cert", "ca"])
def test_what_is_not_valid_now_is_refused_with_file_and_date(files, words, which):
    path, validity = getattr(files, which), FAULTS[words]
    files.write(path, validity, name="a" if which == "cert" else "b")
    with pytest.raises(UsageError) as caught:
        files.load()
    date = validity[1] if words == "has expired" else validity[0]
    assert f"{path} {words}" in str(caught.value)
    assert f"{date:%Y-%m-%d %H:%M:%S} UTC" in str(caught.value)


def test_every_certificate_of_the_chain_must_be_valid(files):
    files.write(files.cert, VALID, VALID, EXPIRED)
    with pytest.raises(UsageError, match=r"certificate 3 of 3 in .*cert\.pem has expired"):
        files.load()


def test_an_old_authority_beside_its_successor_is_told_of(files, monkeypatch, caplog):
    files.write(files.ca, EXPIRED, VALID, name="b")
    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", lambda *_, **__: None)
    security.server_credentials(files.load())
    (line,) = told(caplog)
    assert f"certificate 1 of 2 in {files.ca} has expired" in line


def test_authorities_of_which_none_is_valid_are_refused(files):
    files.write(files.ca, EXPIRED, NOT_YET, name="b")
    with pytest.raises(UsageError, match="no client could be admitted"):
        files.load()


# -- at a reload ------------------------------------------------------------------------------


@pytest.mark.parametrize("words", FAULTS)
def test_at_a_reload_the_old_one_stays_and_that_is_told_once(files, reload, caplog, words):
    files.write(files.cert, FAULTS[words])
    assert [reload() for _ in range(3)] == [None] * 3
    (line,) = told(caplog)
    assert line.startswith("the old certificate stays in use: ")
    assert f"{files.cert} {words}" in line
    files.write(files.cert, VALID)
    assert reload() is not None
    files.write(files.cert, FAULTS[words])
    assert reload() is None
    assert told(caplog) == [line, line]


def test_a_key_of_another_certificate_leaves_the_old_ones(files, pems, reload, caplog):  # noqa: F811
    shutil.copy(pems / "b.key", files.key)
    assert reload() is None
    (line,) = told(caplog)
    assert "the old certificate stays in use" in line
    assert files.key in line


def test_one_that_becomes_valid_is_taken_then(files, reload, monkeypatch):
    files.write(files.cert, NOT_YET)
    assert reload() is None
    monkeypatch.setattr(time, "time", lambda: SOON.timestamp() + DAY_S)
    files.write(files.ca, (SOON, LATER), name="b")
    assert reload() is not None
    assert reload() is None


def test_one_that_expires_while_it_is_used_is_told_of_once(files, reload, monkeypatch, caplog):
    assert reload() is None
    assert told(caplog) == []
    monkeypatch.setattr(time, "time", lambda: SOON.timestamp() + DAY_S)
    assert [reload(), reload()] == [None, None]
    (line,) = told(caplog)
    assert f"{files.cert} has expired" in line


# -- reading ----------------------------------------------------------------------------------


def element(tag, content):
    size = (
        bytes([len(content)]) if len(content) < 0x80 else b"\x82" + len(content).to_bytes(2, "big")
    )
    return bytes([tag]) + size + content


def certificate(*times, version=True, issuer=b""):
    """As much of a certificate as is read, as PEM."""
    parts = element(0xA0, b"\2\1\2") if version else b""
    parts += element(2, b"\1") + element(0x30, b"") + element(0x30, issuer)
    parts += element(0x30, b"".join(element(tag, text.encode()) for tag, text in times))
    der = element(0x30, element(0x30, parts))
    lines = textwrap.fill(base64.b64encode(der).decode(), 64)
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


@pytest.mark.parametrize("version", [True, False])
@pytest.mark.parametrize("issuer", [b"", b"x" * 500])
def test_both_forms_of_time_are_read(version, issuer):
    times = (0x17, "500102030405Z"), (0x18, "20510102030405Z")
    (found,) = validities(
        "x.pem", b"a comment\n" + certificate(*times, version=version, issuer=issuer)
    )
    assert found.begins == datetime(1950, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.ends == datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_cannot_be_read_is_left_to_those_who_can():
    good = certificate((0x17, "490101000000Z"), (0x18, "99991231235959Z"))
    odd = certificate((0x16, "490101000000Z"), (0x18, "99991231235959Z"))
    whole = certificate((0x17, "490101000000Z"))
    names = [found.name for found in validities("x.pem", odd + whole + good + b"-----BEGIN")]
    assert names == ["certificate 3 of 3 in x.pem"]
