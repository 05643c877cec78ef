"""``bridge --help``, from the table of options."""

from __future__ import annotations

import argparse

from .arguments import all_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..options import Group, Option

_USAGE = (
    "python -m bridge --adapter NAME [OPTION ...]\n       python -m bridge COMMAND ... [--help]"
)
_DESCRIPTION = """\
Serve Python functions to Elixir, or any program that speaks MessagePack-RPC over pipes.

Without a command it serves: Elixir starts it with Port.open and calls its tools. Commands for
people:

  python -m bridge tools ADAPTER               list the tools of an adapter
  python -m bridge call ADAPTER TOOL [ARGS]    run one tool here; ARGS is a JSON array or object
  python -m bridge check ADAPTER               look for races between its tools
  python -m bridge doctor [ADAPTER]            try every transport; show what is missing, and
                                               the command that mends it here
  python -m bridge stacks ADDRESS              where the tools of a process that serves gRPC are now
  python -m bridge top ADDRESS                 what it does: workers, queue, tools, latencies

beam-bridge is the same as python -m bridge.
"""
_EPILOG = """\
A value follows its option, or an equals sign: --port 0, --port=0. Of an option that is there twice
the last counts.

  python -P -m bridge --adapter my_app.tools:Tools --max-workers 8
  python -P -m bridge --adapter my_app.tools:Tools --transport grpc --port 0
  python -m bridge call my_app.tools:Tools add '[1, 2]'
"""


def format_help() -> str:
    """The text of ``bridge --help``, as wide as the terminal."""
    parser = argparse.ArgumentParser(
        prog="bridge",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    groups: dict[Group, argparse._ArgumentGroup] = {}
    for option in all_options():
        group = groups.get(option.group)
        if group is None:
            group = groups[option.group] = parser.add_argument_group(
                option.group.title, option.group.description or None
            )
        text = describe(option).replace("%", "%%")
        if option.is_switch:
            group.add_argument(option.flag, action="store_true", help=text)
        else:
            group.add_argument(option.flag, metavar=option.kind.metavar, help=text)
    other = parser.add_argument_group("Other")
    other.add_argument("-h", "--help", action="store_true", help="Show this text.")
    other.add_argument("--version", action="store_true", help="Show the version of the bridge.")
    return parser.format_help()


def describe(option: Option) -> str:
    """What help says of an option: what it is for, what its value may be, and its default."""
    facts = [] if option.is_switch else [option.kind.wants]
    if option.default_text:
        facts.append(f"default: {option.default_text}")
    return f"{option.help} [{'; '.join(facts)}]" if facts else option.help
