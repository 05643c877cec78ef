"""``bridge stacks``: where the tools of a running process are now."""

from __future__ import annotations

import argparse
import json
import re

from ..calls import show_stacks
from ..errors import UsageError
from ..options import Seconds
from .command import CLEAN, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOADS_ADAPTER = False
SUMMARY = """\
Show where the tools of a process that serves gRPC are now: for each thread that runs one the tool,
since when, and its Python stack. The process answers although every worker is busy or stuck, and
shows no values of arguments or variables. It must have been started with --token-file."""
EPILOG = """\
  python -m bridge stacks localhost:50051 --token-file token
  python -m bridge stacks unix:/run/bridge.sock --token-file token
  python -m bridge stacks python.internal:50051 --token-file token --tls-ca ca.pem
  python -m bridge stacks localhost:50051 --token-file token --json | jq '.threads[].tool'

A process that serves over its pipes is asked by the program that holds them: in Elixir with
Bridge.stacks(MyApp.Python), for example from a remote shell (bin/my_app rpc). Where nobody can ask,
"py-spy dump --pid PID" reads the stacks from outside.

exit code: 0 they were shown; 1 there was no answer, and why; 2 usage
"""
_TIMEOUT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge stacks`` takes to its ``parser``."""
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
    parser.add_argument("--json", action="store_true", help="as $/stacks answers it")


def run(options: argparse.Namespace) -> int:
    """Run the command: print the stacks.

    Args:
        options: What ``add_arguments`` asks for.

    Returns:
        The exit code.

    Raises:
        UsageError: The address is none, or a file cannot be used.
        CallError: There was no answer.
    """
    address = _address(options.address)
    from ..transports.grpc.stacks_request import Connection, ask_for_stacks

    connection = Connection(
        address,
        options.token_file,
        options.tls_ca,
        options.tls_cert,
        options.tls_key,
        options.insecure,
    )
    stacks = ask_for_stacks(connection, options.timeout)
    print(json.dumps(stacks, indent=2) if options.json else _show(stacks))
    return CLEAN


def _address(text: str) -> str:
    """Raises ``UsageError`` for what cannot be one, above all the number of a process."""
    if text.isdigit():
        raise UsageError(
            f"{text} is no address, but HOST:PORT or unix:PATH is. For a port of this machine: "
            f"localhost:{text}. A process that serves over pipes is asked by the program that "
            "holds them (Bridge.stacks in Elixir), see python -m bridge stacks --help"
        )
    if not (text.startswith("unix:") or re.fullmatch(r"(\[.+\]|[^:/]+):\d+", text)):
        raise UsageError(f"{text}: must be HOST:PORT, [IPV6]:PORT or unix:PATH")
    return text


def _show(stacks: dict[str, Any]) -> str:
    text = show_stacks(stacks)
    idle = sum(thread["tool"] is None for thread in stacks["threads"])
    rest = f"{idle} of {len(stacks['threads'])} threads run no tool"
    return f"{text}\n{rest}" if text else rest
