"""Where the gRPC server may listen, and what belongs together."""

import subprocess
import sys

import pytest

from bridge.errors import UsageError
from bridge.transports.grpc.settings import GrpcSettings


def refusal(**settings):
    with pytest.raises(UsageError) as caught:
        GrpcSettings(**settings).check()
    return str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 50051, "127.0.0.1:50051"),
        ("localhost", 0, "localhost:0"),
        ("::1", 1, "[::1]:1"),
        ("unix:/run/b.sock", 1, "unix:/run/b.sock"),
        ("unix:b.sock", 1, "unix:b.sock"),
    ],
)
def test_the_address_is_what_grpc_expects(host, port, address):
    assert GrpcSettings(host=host, port=port).address == address


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "unix:/x"])
def test_what_only_this_machine_reaches_may_be_in_clear_text(host):
    settings = GrpcSettings(host=host)
    settings.check()
    assert settings.is_unix is host.startswith("unix:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", ""])
def test_what_others_reach_asks_for_tls_or_a_word(host):
    message = refusal(host=host)
    for words in (f"--host {host}", "--tls-cert", "--tls-key", "--insecure"):
        assert words in message
    settings = GrpcSettings(host=host, insecure=True)
    settings.check()
    assert settings.insecure


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_cert": "c"}, "belong together"),
        ({"tls_key": "k"}, "belong together"),
        ({"tls_client_ca": "a"}, "asks for --tls-cert"),
        ({"max_connection_age_grace_s": 1.0}, "asks for --max-connection-age"),
        ({"max_connection_age_s": 0.5}, "must be 1 second or more"),
    ],
)
def test_what_does_not_go_together_is_refused(given, words):
    assert words in refusal(**given)


def test_a_mistake_is_found_without_importing_grpc():
    program = (
        "import sys\n"
        "from bridge.transports.grpc.settings import GrpcSettings\n"
        "try: GrpcSettings(host='0.0.0.0').check()\n"
        "except Exception as error: print(type(error).__name__, 'grpc' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout == "UsageError False\n"
