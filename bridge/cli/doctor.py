"""``bridge doctor``: show what this interpreter has, and what is missing."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from importlib import metadata

from .. import __version__
from ..loading import load
from ..process.settings import default_workers
from .command import CLEAN, FAILED

SUMMARY = "Show what this interpreter has, and what is missing."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``bridge doctor`` takes to its ``parser``."""
    parser.add_argument("adapter", nargs="?", help="an adapter to load and set up as well")


def run(options: argparse.Namespace) -> int:
    """Run the command. Returns its exit code: 1 if something that is needed is missing."""
    import sysconfig

    from ..gil import describe_python

    python = describe_python()
    gil = "GIL on" if python["gil"] else "GIL off"
    build = (
        "free-threaded build" if sysconfig.get_config_var("Py_GIL_DISABLED") else "ordinary build"
    )
    healthy = True
    print(f"bridge      {__version__}")
    print(f"python      {python['version']} ({python['implementation']}, {build}, {gil}) {python['executable']}")  # fmt: skip
    for package, needed, use in (
        ("msgpack", True, "always"),
        ("numpy", False, "for tensors: pip install 'beam-bridge[numpy]'"),
        ("grpcio", False, "for --transport grpc: pip install 'beam-bridge[grpc]'"),
    ):
        try:
            note = metadata.version(package)
        except metadata.PackageNotFoundError:
            note = f"{'MISSING' if needed else 'not installed'}, needed {use}"
            healthy = healthy and not needed
        print(f"{package:<11} {note}")
    print(f"elixir      {_elixir()}")
    print(f"workers     {default_workers()} by default ({os.cpu_count()} cores)")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        print(f"{name:<11} {_descriptor(number)}")
    if options.adapter:
        adapter = load(options.adapter, options.app_dir)
        adapter.setup()
        adapter.close()
        safe = "declares itself thread-safe" if adapter.thread_safe else "needs --max-workers 1"
        print(f"adapter     {adapter.name}: {len(adapter.tools)} tools, {safe}")
    return CLEAN if healthy else FAILED


def _elixir() -> str:
    path = shutil.which("elixir")
    if path is None:
        return "not found; on Debian and Ubuntu: apt-get install elixir, elsewhere https://elixir-lang.org/install.html"  # fmt: skip
    lines = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return f"{lines.strip().splitlines()[-1] if lines.strip() else 'does not start'} {path}"


def _descriptor(number: int) -> str:
    import stat

    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return "closed"
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"))
    if os.isatty(number):
        return "terminal"
    return next((name for test, name in kinds if test(mode)), "device")
