"""``bridge check``: run an adapter's tools from several threads and report races."""

from __future__ import annotations

import argparse
import json
import sys

from ..errors import AdapterError
from .command import ADAPTER_HELP, CLEAN, FAILED, USAGE

SUMMARY = "Run an adapter's tools from several threads; report races."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge check`` takes to its ``parser``."""
    parser.add_argument("adapter", help=ADAPTER_HELP)
    parser.add_argument("--threads", type=int, default=4, metavar="N", help="(default: 4)")
    parser.add_argument(
        "--calls", type=int, default=50, metavar="N", help="about so many in all (default: 50)"
    )
    parser.add_argument("--json", action="store_true", help="the report for programs")
    parser.epilog = (
        "Tools without arguments are called as they are, others with their examples, "
        "@tool(examples=[[1, 2]]). Exit code: 0 nothing was found, 1 something was, 2 the adapter "
        "could not be run."
    )


def run(options: argparse.Namespace) -> int:
    """Run the command. Returns its exit code: 1 if something was found, 2 if nothing could run."""
    from ..thread_safety.exercise import check_adapter

    if options.threads < 2 or options.calls < 2:
        print("bridge: a race needs two threads, and two calls", file=sys.stderr)
        return USAGE
    try:
        report = check_adapter(options.adapter, options.app_dir, options.threads, options.calls)
    except AdapterError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return USAGE
    if options.json:
        print(json.dumps(report.describe(), indent=2))
    else:
        print(report.text, end="")
    return FAILED if report.findings else CLEAN
