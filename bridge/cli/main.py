"""The command line: serve what it names, or run a command for people."""

from __future__ import annotations

import gc
import os
import sys

from ..errors import UsageError
from ..process.platforms import check_platform
from ..process.shutdown import CLEAN, FATAL, USAGE, complain
from ..process.watcher import start_watcher
from .arguments import did_you_mean, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = ("tools", "call", "check", "doctor", "stacks", "top")
_ON_A_TERMINAL = """\
this is the port program; Elixir starts it and talks MessagePack to it.
To try a tool from here: python -m bridge call ADAPTER TOOL '[1, 2]'. To serve other
programs over the network: --transport grpc. See python -m bridge --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, on the main thread.

    Args:
        argv: The words after the program's name; default: those of the process.

    Returns:
        The exit code, 2 for a command line that could not be understood. A process that has served
        ends by itself and does not come back.

    Raises:
        SystemExit: On a platform where the bridge does not run; with 0 or 2, if a command for
            people has shown its help, or did not understand its arguments.
    """
    check_platform()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except ModuleNotFoundError as error:
        # the tools' own are errors of their adapter
        complain(_explain_lack(error))
        return FATAL


def _run(words: list[str]) -> int:
    if words and words[0] in _COMMANDS:
        from .command import run_command

        return run_command(words[0], words[1:])
    if words and not words[0].startswith("-"):
        complain(_explain_command(words[0]))
        return USAGE
    if "--help" in words or "-h" in words:
        from .help import format_help

        print(format_help(), end="")
        return CLEAN
    if "--version" in words:
        from .. import __version__

        print(f"bridge {__version__}")
        return CLEAN
    try:
        settings = read(words)
    except UsageError as error:
        complain(str(error))
        return USAGE
    if settings.descriptors == (0, 1) and sys.stdin is not None and os.isatty(0):
        complain(_ON_A_TERMINAL)
        return USAGE

    # before all else is imported: it is a copy of this process, and stays small
    watcher = start_watcher(settings)
    gc.disable()  # modules are no garbage: looking for some takes a twentieth of the start
    from ..process.server import Server

    gc.freeze()  # nor later: what is loaded by now is looked at no more
    gc.enable()
    if watcher is not None:
        watcher.settle()  # it has come up meanwhile
    return Server(settings, watcher=watcher).run()


def _explain_lack(error: ModuleNotFoundError) -> str:
    from ..requirements import remedy, requirements

    if all(requirement.met for requirement in requirements()):
        raise error
    return f"{error}: {remedy()}"


def _explain_command(word: str) -> str:
    return (
        f"there is no command {word!r}{did_you_mean(word, _COMMANDS)}\n"
        f"The commands are {', '.join(_COMMANDS)}; without one the bridge serves an adapter. See "
        "python -m bridge --help"
    )
