"""Certificates and tokens: what is refused, and files that are read again when they change."""

import os
import shutil
import subprocess

import pytest

from bridge.errors import UsageError
from bridge.transports.grpc.credentials import Certificates, Token
from bridge.transports.grpc.settings import GrpcSettings

OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    """Two certificates with their keys, as files: ``a.pem``, ``a.key`` and so on."""
    if OPENSSL is None:
        pytest.skip("openssl makes the certificates")
    directory = tmp_path_factory.mktemp("pems")
    for name in "ab":
        command = "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
        subprocess.run(
            [OPENSSL, *command.split(), *files], cwd=directory, check=True, capture_output=True
        )
    return directory


@pytest.fixture
def served(pems, tmp_path):
    """Settings whose files may be changed: certificate a, and b for the clients."""
    for source, target in (("a.pem", "cert"), ("a.key", "key"), ("b.pem", "ca")):
        shutil.copy(pems / source, tmp_path / target)
    return GrpcSettings(
        tls_cert=str(tmp_path / "cert"),
        tls_key=str(tmp_path / "key"),
        tls_client_ca=str(tmp_path / "ca"),
    )


def certificates_of(settings):
    return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


# -- certificates -----------------------------------------------------------------------------


def test_what_others_reach_may_be_served_with_tls(served):
    served.host = "0.0.0.0"
    served.check()
    assert served.address == "0.0.0.0:50051"


def test_certificates_are_loaded_as_they_are(served, pems):
    key, chain, authority = certificates_of(served).load()
    assert key == (pems / "a.key").read_bytes()
    assert chain == (pems / "a.pem").read_bytes()
    assert authority == (pems / "b.pem").read_bytes()
    served.tls_client_ca = None
    assert certificates_of(served).load()[2] is None


@pytest.mark.parametrize("option", ["tls_cert", "tls_key", "tls_client_ca"])
def test_a_missing_file_is_named(served, option):
    setattr(served, option, "/nowhere/x.pem")
    with pytest.raises(UsageError, match=r"cannot read /nowhere/x\.pem"):
        served.check()


def test_a_key_of_another_certificate_is_refused_with_both_names(served, pems):
    shutil.copy(pems / "b.key", served.tls_key)
    with pytest.raises(UsageError) as caught:
        served.check()
    assert served.tls_cert in str(caught.value)
    assert served.tls_key in str(caught.value)


@pytest.mark.parametrize("option", ["tls_cert", "tls_key", "tls_client_ca"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe\x00"])
def test_a_file_that_is_no_pem_is_named(served, option, content):
    path = getattr(served, option)
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(UsageError) as caught:
        served.check()
    assert path in str(caught.value)


def test_a_key_with_a_password_is_refused_instead_of_asked_for(served, pems):
    command = ["ec", "-aes256", "-passout", "pass:secret", "-in", pems / "a.key"]
    subprocess.run([OPENSSL, *command, "-out", served.tls_key], check=True, capture_output=True)
    with pytest.raises(UsageError) as caught:
        served.check()
    assert served.tls_key in str(caught.value)


def test_a_change_of_any_file_is_noticed_once(served, pems):
    certificates = certificates_of(served)
    assert not certificates.changed()
    for target, source in (("tls_cert", "b.pem"), ("tls_key", "b.key"), ("tls_client_ca", "a.pem")):
        path = getattr(served, target)
        shutil.copy(pems / source, f"{path}.new")
        os.replace(f"{path}.new", path)
        assert certificates.changed()
        assert not certificates.changed()
    assert certificates.load()[1] == (pems / "b.pem").read_bytes()


def test_a_file_that_is_missing_for_a_moment_is_no_change_until_it_is_back(served, pems):
    certificates = certificates_of(served)
    os.unlink(served.tls_cert)
    assert not certificates.changed()
    shutil.copy(pems / "a.pem", served.tls_cert)
    assert certificates.changed()


# -- tokens -----------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


def bearer(token):
    return [("user-agent", "x"), ("authorization", f"Bearer {token}"), ("te", "trailers")]


def test_the_token_is_admitted_and_nothing_else(token_file):
    token = Token(str(token_file))
    assert token.admits(bearer("secret"))
    assert token.admits([("authorization", "bearer secret")])
    assert token.admits([("authorization", "BEARER secret")])
    for metadata in (
        [],
        bearer(""),
        bearer("secre"),
        bearer("secret "),
        bearer("secrets"),
        bearer("Secret"),
        bearer("secret\n"),
        bearer("sécret"),
        bearer("\ud800"),
        [("authorization", "secret")],
        [("authorization", "Basic secret")],
        [("authorization", "Bearer")],
        [("authorization", "")],
        [("token", "Bearer secret")],
        [("authorization", "Bearer no"), ("authorization", "Bearer secret")],
    ):
        assert not token.admits(metadata), metadata


def test_a_changed_file_replaces_the_token(token_file):
    token = Token(str(token_file))
    token_file.write_text("another")
    assert token.admits(bearer("another"))
    assert not token.admits(bearer("secret"))


@pytest.mark.parametrize("content", ["", "\n\n", "two words", "ä"])
def test_a_file_that_is_just_being_written_leaves_the_old_token(token_file, content):
    token = Token(str(token_file))
    token_file.write_text(content)
    assert token.admits(bearer("secret"))
    assert not token.admits(bearer(content.strip()))
    token_file.unlink()
    assert token.admits(bearer("secret"))
    token_file.write_text("written")
    assert token.admits(bearer("written"))


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two words", "ä".encode(), b"\xff"])
def test_a_file_without_one_token_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        GrpcSettings(token_file=str(path)).check()
    assert str(path) in str(caught.value)
