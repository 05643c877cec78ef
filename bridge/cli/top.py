"""``bridge top``: what a running process does now: its workers, queue, tools and latencies."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from ..errors import CallError
from .command import CLEAN
from .connection import add_connection_arguments, connect
from .overview import Sample, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..transports.grpc.client import Client
    from .screen import Screen

LOADS_ADAPTER = False
SUMMARY = """\
Show what a process that serves gRPC does now, again and again: its workers, its queue, its tools and how
long they take. The process answers although every worker is busy. Keys: q or Ctrl-C ends."""
EPILOG = """\
  python -m bridge top localhost:50051
  python -m bridge top python.internal:50051 --token-file token --tls-ca ca.pem
  python -m bridge top localhost:50051 --once
  python -m bridge top localhost:50051 --json | jq .queued

Times are upper bounds, right to a factor of two. Where stdout is no terminal, it is shown once. A
process that serves over its pipes is asked by the program that holds them: Bridge.stats(MyApp.Python).

exit code: 0 it was shown; 1 there was no answer at first, and why; 2 usage
"""
_LEAST_INTERVAL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge top`` takes to its ``parser``."""
    add_connection_arguments(parser)
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=_interval,
        default=1.0,
        help="how often to look (default: 1)",
    )
    parser.add_argument(
        "--once", action="store_true", help="show it once, since the start, and end"
    )
    parser.add_argument("--json", action="store_true", help="once, as $/stats answers it")


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST_INTERVAL_S <= seconds <= 3600:
        raise argparse.ArgumentTypeError(
            f"{text!r}: must be a time in seconds from {_LEAST_INTERVAL_S:g} to 3600"
        )
    return seconds


def run(options: argparse.Namespace) -> int:
    """Run the command: show the statistics until somebody ends it. On the main thread.

    Args:
        options: What ``add_arguments`` asks for.

    Returns:
        The exit code.

    Raises:
        UsageError: The address is none, or a file cannot be used.
        CallError: There was no first answer.
    """
    with connect(options) as client:
        first = Sample(client.stats(options.timeout), time.monotonic())
        if options.json:
            print(json.dumps(first.stats, indent=2))
        elif options.once or not _is_screen():
            print("\n".join(describe(options.address, first)))
        else:
            from .screen import Screen

            with Screen() as screen:
                _refresh(screen, client, first, options)
    return CLEAN


def _is_screen() -> bool:
    """Whether stdout can be written over."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _refresh(screen: Screen, client: Client, first: Sample, options: argparse.Namespace) -> None:
    """Show what has changed since the last look, until the user ends it."""
    last, now, fault = first, first, None
    next_look = first.at + options.interval
    while True:
        screen.show(
            lambda width, height: describe(options.address, now, last, fault, width, height)  # noqa: B023
        )
        if screen.wait(next_look - time.monotonic()):
            return
        if time.monotonic() < next_look:
            continue  # another size
        try:
            stats = client.stats(min(options.timeout, max(1.0, options.interval)))
            last, now, fault = now, Sample(stats, time.monotonic()), None
            if stats["uptime_s"] < last.stats["uptime_s"]:
                last = now  # another process serves there, which has counted anew
        except CallError as error:
            fault = str(error)
        next_look = time.monotonic() + options.interval
