"""A command for people: its parser, its exit code, and what becomes of its errors and its output.

Each command is a module beside this one, with ``SUMMARY``, ``add_arguments(parser)`` and
``run(options)``; one that loads no adapter says so by ``LOADS_ADAPTER = False``, and one may have an
``EPILOG`` for its help.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from errno import ENOSPC
from importlib import import_module

from ..errors import AdapterError, CallError, UsageError
from ..options import Names
from .arguments import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..options import Kind

CLEAN, FAILED, USAGE = 0, 1, 2
ADAPTER_HELP = "MODULE:CLASS, MODULE.CLASS or MODULE"
ALLOW = Names("MODULES", "names of modules, like numpy.linalg,math")


def run_command(name: str, argv: Sequence[str]) -> int:
    """Run the command of the module ``name``, on the main thread.

    Args:
        name: A module of this package.
        argv: The words after the name of the command.

    Returns:
        The exit code: 0, 1 if the command failed, 2 if it could not be understood.

    Raises:
        SystemExit: With 2, if argparse did not understand ``argv``; with 0 after ``--help``.
    """
    command: Any = import_module(f"{__package__}.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m bridge {name}",
        description=command.SUMMARY,
        epilog=getattr(command, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    if getattr(command, "LOADS_ADAPTER", True):
        parser.add_argument(
            "--app-dir",
            metavar="DIR",
            help="where to import the adapter from (default: the working directory)",
        )
    options, unknown = parser.parse_known_args(argv)
    for word in unknown:
        flag = word.partition("=")[0]
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        parser.error(f"there is no {flag}{did_you_mean(flag, known)}")
    if sys.stdout is not None:
        # in the C locale a letter beyond ASCII is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code: int = command.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has left can be dealt with
    except (AdapterError, CallError) as error:
        print(f"bridge: {error}", file=sys.stderr)
        code = FAILED
    except UsageError as error:
        print(f"bridge: {error}", file=sys.stderr)
        code = USAGE
    except BrokenPipeError:
        discard_output()
        code = CLEAN
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        discard_output()
        print(f"bridge: stdout: {error.strerror}", file=sys.stderr)
        code = FAILED
    return code


def reader(kind: Kind) -> Callable[[str], Any]:
    """What argparse wants as the ``type`` of an argument.

    Args:
        kind: What its values may be.

    Returns:
        A function that reads a text, and raises ``ArgumentTypeError`` with what would be right.
    """

    def read(text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: must be {kind.wants}") from None

    return read


def discard_output() -> None:
    """Send what is still to come nowhere: nobody reads stdout any more, as behind ``| head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
