"""``bridge tools``: list the tools of an adapter."""

from __future__ import annotations

import argparse
import json

from ..loading import load
from ..wire import Encoder
from .command import ADAPTER_HELP, ALLOW, CLEAN, reader

SUMMARY = "List the tools of an adapter."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge tools`` takes to its ``parser``."""
    parser.add_argument("adapter", help=ADAPTER_HELP)
    parser.add_argument(
        "--allow", type=reader(ALLOW), metavar=ALLOW.metavar, help="as where it is served"
    )
    parser.add_argument("--json", action="store_true", help="as $/tools answers it")
    parser.add_argument(
        "--msgpack", metavar="FILE", help="the same as MessagePack, written to a file"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command: print the tools, by name.

    Args:
        options: What ``add_arguments`` asks for, and ``app_dir``.

    Returns:
        The exit code.

    Raises:
        AdapterError: If the adapter cannot be imported or has no tools.
    """
    tools = load(options.adapter, options.app_dir, options.allow).tools
    if options.msgpack:
        described = Encoder().value([tools[name].describe() for name in sorted(tools)], "tools")
        with open(options.msgpack, "wb") as file:
            file.write(described)
        return CLEAN
    if options.json:
        print(json.dumps([tools[name].describe() for name in sorted(tools)], indent=2))
        return CLEAN
    width = max(len(tool.signature) for tool in tools.values())
    for name in sorted(tools):
        tool = tools[name]
        marks = [mark for mark, on in (("streams", tool.streaming), ("async", tool.is_async), ("serial", tool.serial), (f"up to {tool.batch} in a batch", tool.batch is not None), ("idempotent", tool.idempotent), (f"at most {tool.max_concurrency} at once", (tool.max_concurrency or 1) > 1)) if on]  # fmt: skip
        summary = tool.description.partition("\n")[0]
        print(f"{tool.signature:<{min(width, 60)}}  {' '.join([*(f'[{m}]' for m in marks), summary])}".rstrip())  # fmt: skip
    return CLEAN
