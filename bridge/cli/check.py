"""``bridge check``: run an adapter's tools from several threads and report races."""

from __future__ import annotations

import argparse
import json
import sys

from ..errors import AdapterError
from ..options import WholeNumber
from ..thread_safety.exercise import CALLS, THREADS, check_adapter
from .command import ADAPTER_HELP, CLEAN, FAILED, USAGE, reader

SUMMARY = "Run an adapter's tools from several threads; report races."
#: A race needs two threads, and two calls.
_NUMBER = WholeNumber(2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge check`` takes to its ``parser``."""
    parser.add_argument("adapter", help=ADAPTER_HELP)
    for flag, default, text in (
        ("--threads", THREADS, "that call tools at once (default: %(default)s)"),
        ("--calls", CALLS, "about so many in all (default: %(default)s)"),
    ):
        parser.add_argument(
            flag, type=reader(_NUMBER), default=default, metavar=_NUMBER.metavar, help=text
        )
    parser.add_argument("--json", action="store_true", help="the report for programs")
    parser.epilog = (
        "Tools without arguments are called as they are, others with their examples, "
        "@tool(examples=[[1, 2]]). Exit code: 0 nothing was found, 1 something was, 2 the adapter "
        "could not be run."
    )


def run(options: argparse.Namespace) -> int:
    """Run the command: print the report of the check.

    Args:
        options: What ``add_arguments`` asks for, and ``app_dir``.

    Returns:
        The exit code: 1 if something was found, 2 if the adapter could not be run.
    """
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
