"""``bridge stacks``: where the tools of a running process are now."""

from __future__ import annotations

import argparse
import json

from ..calls import show_stacks
from .command import CLEAN
from .connection import add_connection_arguments, connect

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge stacks`` takes to its ``parser``."""
    add_connection_arguments(parser)
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
    with connect(options) as client:
        stacks = client.stacks(options.timeout)
    print(json.dumps(stacks, indent=2) if options.json else _show(stacks))
    return CLEAN


def _show(stacks: dict[str, Any]) -> str:
    text = show_stacks(stacks)
    idle = sum(thread["tool"] is None for thread in stacks["threads"])
    rest = f"{idle} of {len(stacks['threads'])} threads run no tool"
    return f"{text}\n{rest}" if text else rest
