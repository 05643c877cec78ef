"""``bridge check``: run an adapter's tools from several threads and report races."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

from .. import __version__
from ..errors import AdapterError
from ..options import Seconds, WholeNumber
from ..thread_safety import Report, page_of, sarif_of
from ..thread_safety.exercise import CALLS, EFFORT, LIMIT_S, THREADS, check_adapter
from .command import ADAPTER_HELP, CLEAN, FAILED, USAGE, reader

SUMMARY = "Run an adapter's tools from several threads; report races."
#: A race needs two threads, and two calls.
_NUMBER = WholeNumber(2)
#: How long the process waits at its end for threads of the program, in seconds; and where calls did not end.
_LEAVE_S, _LEAVE_STOPPED_S = 5.0, 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge check`` takes to its ``parser``."""
    parser.add_argument("adapter", help=ADAPTER_HELP)
    for flag, kind, default, text in (
        ("--threads", _NUMBER, THREADS, "that call tools at once (default: %(default)s)"),
        ("--calls", _NUMBER, CALLS, "about so many in all (default: %(default)s)"),
        ("--limit", Seconds(), LIMIT_S, "then it ends with what it knows (default: %(default)s)"),
        ("--seed", WholeNumber(0), 0, "what schedules are drawn from (default: %(default)s)"),
        ("--effort", WholeNumber(1), EFFORT, "how many schedules (default: %(default)s)"),
    ):
        parser.add_argument(
            flag, type=reader(kind), default=default, metavar=kind.metavar, help=text
        )
    parser.add_argument("--strict", action="store_true", help="fail on what is a note otherwise")
    parser.add_argument("--json", action="store_true", help="the report for programs")
    for flag, text in (("--sarif", "SARIF, for code hosts"), ("--html", "one page, to read")):
        parser.add_argument(flag, metavar="FILE", help=f"write the report there as well: {text}")
    parser.epilog = (
        "Tools without arguments are called as they are, others with their examples, "
        "@tool(examples=[[1, 2]]). A finding is silenced by a comment on the line of the access, "
        "# bridge: unguarded because ..., or in pyproject.toml, [tool.bridge.check]. Exit code: 0 "
        "nothing was found, 1 something was, or the limit was reached, 2 the adapter could not be run."
    )


def run(options: argparse.Namespace) -> int:
    """Run the command: print the report of the check.

    Args:
        options: What ``add_arguments`` asks for, and ``app_dir``.

    Returns:
        The exit code: 1 if something was found, or the check did not come to its end, 2 if the
        adapter could not be run.
    """

    def overdue(report: Report) -> None:
        _show(report, options)
        sys.stdout.flush()
        os._exit(FAILED)

    try:
        report = check_adapter(
            options.adapter,
            options.app_dir,
            options.threads,
            options.calls,
            limit_s=options.limit,
            seed=options.seed,
            effort=options.effort,
            strict=options.strict,
            overdue=overdue,
        )
    except AdapterError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return USAGE
    code = FAILED if report.failed else CLEAN
    if not _show(report, options):
        code = USAGE
    # called when the main thread is over, before the threads of executors are waited for
    over = threading.Event()
    threading._register_atexit(over.set)  # type: ignore[attr-defined]
    wait_s = _LEAVE_STOPPED_S if report.stopped else _LEAVE_S
    end = threading.Thread(
        target=_end, args=(over, wait_s, code), name="end of the check", daemon=True
    )
    end.start()
    return code


def _show(report: Report, options: argparse.Namespace) -> bool:
    """Print the report, and write it where it is wanted. Returns whether that was possible."""
    if options.json:
        print(json.dumps(report.describe(), indent=2))
    else:
        print(report.text, end="")
    written = True
    for path, form in ((options.sarif, _as_sarif), (options.html, page_of)):
        if path is None:
            continue
        try:
            # sources may have characters that are none
            text = form(report, options.adapter)
            Path(path).write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            print(f"bridge: {path} cannot be written: {error.strerror}", file=sys.stderr)
            written = False
    return written


def _as_sarif(report: Report, adapter: str) -> str:
    return json.dumps(sarif_of(report, __version__), indent=2)


def _end(over: threading.Event, wait_s: float, code: int) -> None:
    """End the process when it is over, also if threads of the program, or of its executors, do not end."""
    over.wait()
    time.sleep(wait_s)
    os._exit(code)
