"""What commands take that ask a process which serves gRPC: where it is, and how to be let in."""

from __future__ import annotations

import argparse
import re

from ..errors import UsageError
from ..options import Seconds
from .command import reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..transports.grpc.client import Client

_TIMEOUT_S = 5.0


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the address, what ``connect`` needs beside it, and ``--timeout``."""
    parser.add_argument("address", help="HOST:PORT or unix:PATH, where the process listens")
    parser.add_argument("--token-file", metavar="FILE", help="holds the token that it asks for")
    parser.add_argument("--tls-ca", metavar="FILE", help="the authority of its certificate")
    parser.add_argument("--tls-cert", metavar="FILE", help="our certificate, if it asks for one")
    parser.add_argument("--tls-key", metavar="FILE", help="the key of that")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="send the token in clear text to another machine all the same",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=reader(Seconds()),
        default=_TIMEOUT_S,
        help=f"how long to wait for the answer (default: {_TIMEOUT_S:g})",
    )


def connect(options: argparse.Namespace) -> Client:
    """Open what asks the process that was named; to be closed by ``with``.

    Args:
        options: What ``add_connection_arguments`` asks for.

    Raises:
        UsageError: The address is none, a file cannot be used, or the token would be seen.
    """
    address = _address(options.address)
    from ..transports.grpc.client import Client, Connection

    return Client(
        Connection(
            address,
            options.token_file,
            options.tls_ca,
            options.tls_cert,
            options.tls_key,
            options.insecure,
        )
    )


def _address(text: str) -> str:
    """Raises ``UsageError`` for what cannot be one, above all the number of a process."""
    if text.isdigit():
        raise UsageError(
            f"{text} is no address, but HOST:PORT or unix:PATH is. For a port of this machine: "
            f"localhost:{text}. A process that serves over pipes is asked by the program that "
            "holds them: in Elixir Bridge.stats and Bridge.stacks"
        )
    if not (text.startswith("unix:") or re.fullmatch(r"(\[.+\]|[^:/]+):\d+", text)):
        raise UsageError(f"{text}: must be HOST:PORT, [IPV6]:PORT or unix:PATH")
    return text
