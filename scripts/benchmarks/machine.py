"""What it was measured on, for the report and the JSON."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from .subjects import Interpreter


def describe(python: Interpreter, others: list[Interpreter]) -> dict[str, str]:
    """Names and versions, as text."""
    facts = {
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": ", ".join(
            i.version + " (free-threaded)" * i.free_threaded for i in (python, *others)
        ),
        "elixir": _elixir(),
    }
    for package in ("msgpack", "grpcio", "numpy"):
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return facts


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _elixir() -> str:
    if shutil.which("elixir") is None:
        return "none"
    code = 'IO.write("#{System.version()} on OTP #{System.otp_release()}")'
    done = subprocess.run(["elixir", "-e", code], capture_output=True, text=True)
    return done.stdout or "unknown"
